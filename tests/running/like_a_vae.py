"""Models with methods of a VAE that know nothing of `VAE`, and small images for them."""

import numpy as np
import torch
import torch.nn.functional as F
from tests.distributions.foreign import Switches
from torch import Tensor, nn
from torch.distributions import Independent, Normal

from reparam_suite.data import Arrays, datum_of
from reparam_suite.distributions import bernoulli, normal
from reparam_suite.estimators import Expectation, LeaveOneOut, Pathwise, ScoreFunction
from reparam_suite.models import EstimatorModule


class Own(EstimatorModule):
    """A model of the bits of small images, through three switches, that knows nothing of `VAE`."""

    def __init__(self) -> None:
        super().__init__(estimator=ScoreFunction(num_samples=2, baseline=LeaveOneOut()))
        self.inwards, self.outwards = nn.Linear(16, 3), nn.Linear(3, 16)

    def encode(self, x: Tensor) -> Switches:
        return Switches(self.inwards(x).sigmoid().clamp(0.01, 0.99))

    posterior = encode

    def prior(self) -> Switches:
        return Switches(torch.full((3,), 0.5))

    def decode(self, z: Tensor):
        return bernoulli(self.outwards(z))

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        return self.decode(z).log_prob(x)

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x).mean).mean

    def sample(self, n: int) -> Tensor:
        return self.decode(self.prior().sample((n,))).mean

    def forward(self, x: Tensor) -> Tensor:
        return self.encode(x).mean

    def expectation(self, batch) -> Expectation:
        x, prior = datum_of(batch), self.prior()
        return Expectation(
            q=self.encode(x), f=lambda z, q: self.log_likelihood(x, z) + prior.log_prob(z) - q.log_prob(z)
        )

    def validation_step(self, batch, batch_idx: int) -> None:
        self.log("val/objective", self.estimator(self.expectation(batch)).objective.mean())

    def test_step(self, batch, batch_idx: int) -> None:
        self.log("test/objective", self.estimator(self.expectation(batch)).objective.mean())


class Real(Own):
    """The same through three real latents, with a prior about 10."""

    def __init__(self) -> None:
        super().__init__()
        self.estimator = Pathwise()

    def encode(self, x: Tensor):
        return normal(self.inwards(x), F.softplus(self.inwards(x)))

    def prior(self):
        return Independent(Normal(torch.full((3,), 10.0), 2.0), 1)


class Otherwise(Real):
    """Methods of the names, and of another meaning."""

    def sample(self, like: Tensor, temperature: float) -> Tensor:
        raise AssertionError

    def reconstruct(self, x: Tensor, *, noise: Tensor) -> Tensor:
        raise AssertionError


def images() -> Arrays:
    x = (np.random.default_rng(0).random((60, 1, 4, 4)) < 0.4).astype(np.float32).reshape(60, 16)
    return Arrays.of(train=x[:40], valid=x[40:50], test=x[50:], name="images")
