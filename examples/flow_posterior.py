"""q(z|x) is a normalizing flow: a neural spline flow of zuko, conditioned on features of x.

Needs the extra `flows`: pip install 'reparam_suite[flows]'.

The divergence from the prior has no closed form, so the objective samples log p(z) - log q(z|x). With a bound of
several samples, `StickTheLanding` is the doubly reparameterized estimator (Tucker et al., 2019).
"""

import zuko
from torch import Tensor, nn
from torch.distributions import Distribution

from reparam_suite import Run, compare_gradients
from reparam_suite.data import Digits
from reparam_suite.distributions import BernoulliLikelihood, Conditional, DiagonalNormal, StandardNormal
from reparam_suite.estimators import AntitheticPathwise, LeaveOneOut, Pathwise, ScoreFunction, StickTheLanding
from reparam_suite.models import VAE
from reparam_suite.objectives import ImportanceWeighted
from reparam_suite.training import RecordSettings

MAX_STEPS = 300
LATENT_SIZE = 4


class SplinePosterior(nn.Module):
    """q(z|x): two coupling layers of monotonic rational-quadratic splines (Durkan et al., 2019)."""

    def __init__(self, *, num_inputs: int, latent_size: int) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Linear(num_inputs, 64), nn.SiLU())
        # Two passes make a coupling flow: samples and densities cost the same. A spline acts on [-5, 5] only.
        self.flow = zuko.flows.NSF(
            features=latent_size, context=64, bins=4, transforms=2, passes=2, hidden_features=(64,)
        )

    def forward(self, x: Tensor) -> Distribution:
        return self.flow(self.features(x))


def make_model(posterior: nn.Module) -> VAE:
    """Returns a VAE trained on the bound of three samples; only the posterior differs between the two runs."""
    decoder = nn.Sequential(nn.Linear(LATENT_SIZE, 100), nn.SiLU(), nn.Linear(100, 64))
    return VAE(
        posterior=posterior,
        likelihood=Conditional(decoder, BernoulliLikelihood(event_shape=(64,))),
        prior=StandardNormal(event_shape=(LATENT_SIZE,)),
        objective=ImportanceWeighted(),
        estimator=StickTheLanding(num_samples=3),
    )


def spline_posterior() -> nn.Module:
    """Returns the flow."""
    return SplinePosterior(num_inputs=64, latent_size=LATENT_SIZE)


def normal_posterior() -> nn.Module:
    """Returns the usual choice: a network that gives loc and scale of independent normals."""
    network = nn.Sequential(nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 2 * LATENT_SIZE))
    return Conditional(network, DiagonalNormal(LATENT_SIZE))


if __name__ == "__main__":
    data = Digits()
    # Test data are bounded with 5,000 samples of q as well, unless it is switched off; with a flow that takes its time.
    record = RecordSettings(test_data=0)
    flow = Run(lambda: make_model(spline_posterior()), data, max_steps=MAX_STEPS, record=record).fit()
    normal = Run(lambda: make_model(normal_posterior()), data, max_steps=MAX_STEPS, record=record).fit()
    for name, result in {"spline flow": flow, "normal": normal}.items():
        elbo, bound = result.metrics["test/elbo"], result.metrics["test/bound_100"]
        print(f"{name:>11}: ELBO {elbo:.2f} nats, bound of 100 samples {bound:.2f} nats, gap {bound - elbo:.2f} nats")

    candidates = [
        Pathwise(num_samples=3),
        StickTheLanding(num_samples=3),
        ScoreFunction(num_samples=3, baseline=LeaveOneOut()),
        AntitheticPathwise(),
    ]
    comparison = compare_gradients(flow.model, data.sample_batch("train"), candidates)
    print(comparison.frame[["variance", "snr", "ms"]].to_string(float_format="{:.3g}".format))
    for expression, reason in comparison.left_out.items():
        print(f"left out: {expression}: {reason}")
