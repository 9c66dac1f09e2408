"""An estimator of your own, biased, and declared as such: the gradient of f reaches the location of q alone.

A biased estimator may be quiet: this one leaves out the noisier half of the pathwise gradient. `check_estimator`
compares it with exact gradients and demands that a declared bias be seen, and that an undeclared one be refused.
"""

from torch.distributions import Distribution

from reparam_suite import Run, compare_gradients
from reparam_suite.data import Digits
from reparam_suite.distributions import is_reparameterized, parameters
from reparam_suite.estimators import Average, Estimate, Expectation, GradientEstimator, Pathwise, carry
from reparam_suite.models import GaussianVAE
from reparam_suite.testing import check_estimator

MAX_STEPS = 400
NUM_REPLICATES = 10_000


class LocationOnly(GradientEstimator):
    """1/K sum_k df/dz_k for the location of q, and nothing of f for its scale.

    Biased: the scale is trained by terms in closed form alone, such as an analytic KL. K evaluations of f.

    Args:
        num_samples: K.
    """

    bounds = (Average,)
    differentiates_f = True
    unbiased = False

    def __init__(self, *, num_samples: int = 1) -> None:
        super().__init__(num_samples=num_samples)

    def fits(self, q: Distribution) -> str | None:
        """Any reparameterized q with a parameter `loc`."""
        if is_reparameterized(q) and "loc" in parameters(q):
            return None
        return f"expected a reparameterized q with a parameter loc, got {type(q).__name__}"

    def estimate(self, target: Expectation) -> Estimate:
        """The mean of f; `carry(loc)` is zero in value and passes the gradient on."""
        z = target.q.rsample((self.num_samples,)).detach() + carry(parameters(target.q)["loc"])
        objective = target.bound.value(target.values(z))
        return Estimate(objective=objective, control_loss=objective.new_zeros(()))


class Overconfident(LocationOnly):
    """The same with a false declaration."""

    unbiased = True


def make_model(estimator: GradientEstimator) -> GaussianVAE:
    """Returns a VAE that is trained with the estimator."""
    return GaussianVAE(event_shape=(64,), latent_size=5, hidden_sizes=(100,), learning_rate=3e-3, estimator=estimator)


if __name__ == "__main__":
    check_estimator(LocationOnly(), num_replicates=NUM_REPLICATES)
    print("LocationOnly keeps its promises, its bias among them")
    try:
        check_estimator(Overconfident(), num_replicates=NUM_REPLICATES)
    except AssertionError as error:
        print(f"refused: {error}")

    data = Digits()
    for estimator in (Pathwise(), LocationOnly()):
        result = Run(lambda: make_model(estimator), data, max_steps=MAX_STEPS).fit()  # noqa: B023
        print(f"trained with {type(estimator).__name__}: test ELBO {result.metrics['test/elbo']:.2f} nats")

    # Where the biased estimator has come to rest, it is quiet, and its gradient hardly points where the exact one does.
    comparison = compare_gradients(result.model, data.sample_batch("train"), [Pathwise(), LocationOnly()])
    print(comparison.frame[["variance", "squared_norm", "cosine"]].to_string(float_format="{:.3g}".format))
