"""Latents of a family of your own: the hyperbolic secant distribution, heavier in its tails than the normal.

The class knows PyTorch alone. Estimators ask a distribution what it can do: `rsample` admits the pathwise estimators,
`log_prob` the score function, and a method `inverse_cdf` antithetic pairs, whose noise u is mirrored to 1 - u.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, constraints

from reparam_suite import Run, compare_gradients
from reparam_suite.data import Digits
from reparam_suite.distributions import BernoulliLikelihood, Conditional, StandardNormal
from reparam_suite.estimators import AntitheticPathwise, ControlledPathwise, LeaveOneOut, Pathwise, ScoreFunction
from reparam_suite.models import VAE
from reparam_suite.testing import check_distribution

MAX_STEPS = 400
CHECKED_SAMPLES = 20_000


class HyperbolicSecant(Distribution):
    """p(z) = 1 / (2 scale) sech(pi/2 y), y = (z - loc) / scale: mean loc, standard deviation scale."""

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(self, loc: Tensor, scale: Tensor, *, validate_args: bool | None = None) -> None:
        self.loc, self.scale = torch.broadcast_tensors(loc, scale)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.loc

    def inverse_cdf(self, u: Tensor) -> Tensor:
        """loc + scale 2/pi log tan(pi u / 2)."""
        return self.loc + self.scale * (2.0 / math.pi) * torch.tan(0.5 * math.pi * u).log()

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        u = torch.rand(self._extended_shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device)
        return self.inverse_cdf(u.clamp(1e-6, 1.0 - 1e-6))

    def log_prob(self, value: Tensor) -> Tensor:
        a = 0.5 * math.pi * (value - self.loc) / self.scale
        return -(a + F.softplus(-2.0 * a)) - self.scale.log()  # a + log(1 + e^-2a) = log(2 cosh a)


class SecantPosterior(nn.Module):
    """q(z|x): any module whose forward returns a Distribution with batch_shape `[B]`."""

    def __init__(self, *, num_inputs: int, latent_size: int) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(num_inputs, 100), nn.SiLU(), nn.Linear(100, 2 * latent_size))

    def forward(self, x: Tensor) -> Distribution:
        loc, raw = self.network(x).chunk(2, dim=-1)
        return Independent(HyperbolicSecant(loc, F.softplus(raw) + 1e-4), 1)  # the latents are the axis of the event


def make_model() -> VAE:
    """Returns a VAE of parts, each a module that returns a Distribution; the KL has no closed form: it is sampled."""
    decoder = nn.Sequential(nn.Linear(6, 100), nn.SiLU(), nn.Linear(100, 64))
    return VAE(
        posterior=SecantPosterior(num_inputs=64, latent_size=6),
        likelihood=Conditional(decoder, BernoulliLikelihood(event_shape=(64,))),
        prior=StandardNormal(event_shape=(6,)),
        estimator=AntitheticPathwise(num_samples=2),
    )


if __name__ == "__main__":
    # The density integrates to one, samples follow it, and gradients are those of finite differences.
    loc, scale = torch.tensor([[0.3], [-1.0]]), torch.tensor([[0.7], [1.4]])
    check_distribution(lambda m, s: Independent(HyperbolicSecant(m, s), 1), loc, scale, num_samples=CHECKED_SAMPLES)

    data = Digits()
    result = Run(make_model, data, max_steps=MAX_STEPS).fit()
    print(f"test ELBO {result.metrics['test/elbo']:.2f} nats, KL {result.metrics['test/kl']:.2f} nats")

    candidates = [
        Pathwise(num_samples=2),
        AntitheticPathwise(num_samples=2),
        ScoreFunction(num_samples=2, baseline=LeaveOneOut()),
        ControlledPathwise(num_samples=2),
    ]
    comparison = compare_gradients(result.model, data.sample_batch("train"), candidates)
    print(comparison.frame[["variance", "standard_error", "cosine", "ms"]].to_string(float_format="{:.3g}".format))
    for expression, reason in comparison.left_out.items():
        print(f"left out: {expression}: {reason}")
