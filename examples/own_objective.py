"""An objective of your own: the ELBO with a cyclical weight of the KL (Fu et al., 2019, arXiv 1903.10145).

An objective is a callable `(model, x, step) -> Expectation`. Training, gradient variance and comparisons all ask it, so
that what is measured is the gradient that is trained with.
"""

from torch import Tensor

from reparam_suite import Run, compare_gradients
from reparam_suite.data import Digits
from reparam_suite.distributions import kl_divergence
from reparam_suite.estimators import Expectation, LeaveOneOut, Pathwise, ScoreFunction
from reparam_suite.figures import curves
from reparam_suite.models import GaussianVAE
from reparam_suite.testing import check_objective
from reparam_suite.training import RecordSettings

MAX_STEPS = 800


class CyclicalELBO:
    """E_q[log p(x|z)] - w KL(q || p): within each cycle w rises linearly from 0 to 1, then stays there.

    Args:
        period: steps in a cycle.
        rising: the share of a cycle in which w rises.
    """

    record_as = "elbo"  # where w is 1; at other steps the number is recorded as train/objective

    def __init__(self, *, period: int, rising: float = 0.5) -> None:
        self.period = period
        self.rising = rising

    def weight_at(self, step: int) -> float:
        """w after `step` optimizer steps."""
        return min(1.0, (step % self.period) / (self.rising * self.period))

    def __call__(self, model: GaussianVAE, x: Tensor, step: int) -> Expectation:
        """The objective for the data x `[B, 64]`; the KL is in closed form and therefore not part of f."""
        q = model.posterior(x)
        penalty = self.weight_at(step) * kl_divergence(q, model.prior())
        return Expectation(q=q, f=lambda z, _: model.log_likelihood(x, z), exact=-penalty)


def make_model() -> GaussianVAE:
    """Returns a VAE whose objective completes four cycles in a run."""
    objective = CyclicalELBO(period=MAX_STEPS // 4)
    return GaussianVAE(
        event_shape=(64,), latent_size=10, hidden_sizes=(100,), objective=objective, estimator=Pathwise()
    )


if __name__ == "__main__":
    data = Digits()
    x = data.sample_batch("train")
    check_objective(CyclicalELBO(period=100), make_model(), x[:3])  # raises AssertionError where a promise is broken

    result = Run(make_model, data, max_steps=MAX_STEPS, record=RecordSettings(every=MAX_STEPS // 40)).fit()
    print(f"test ELBO {result.metrics['test/elbo']:.2f} nats; validation never uses the weight")
    figure = curves({"train/kl": result.history("train/kl")}, ylabel="nats", title="KL under a cyclical weight")
    figure.savefig("cyclical_kl.png")

    # Two unbiased estimators agree on the gradient of this objective at the step where the run has stopped.
    estimators = [Pathwise(), ScoreFunction(num_samples=8, baseline=LeaveOneOut())]
    comparison = compare_gradients(result.model, x, estimators)
    print(comparison.frame[["variance", "squared_norm", "cosine"]].to_string(float_format="{:.3g}".format))
