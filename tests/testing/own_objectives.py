"""A model and objectives that exist in the tests only."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Distribution

from reparam_suite.distributions import bernoulli, kl_divergence, normal
from reparam_suite.estimators import DisARM, Expectation, GradientEstimator, LogMeanExp, Pathwise


class Model(nn.Module):
    """A latent-variable model of three numbers with two latents, bits or normals: what an objective asks for."""

    def __init__(self, estimator: GradientEstimator, *, bits: bool) -> None:
        super().__init__()
        self.bits = bits
        with torch.random.fork_rng():
            torch.manual_seed(1)
            self.encoder = nn.Linear(3, 2 if bits else 4)
            self.decoder = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 3))
            self.top = nn.Parameter(torch.tensor([0.4, -0.7]))
        self.estimator = estimator

    def _made(self, raw: Tensor) -> Distribution:
        if self.bits:
            return bernoulli(raw)
        loc, scale = raw.chunk(2, dim=-1)
        return normal(loc, F.softplus(scale) + 0.1)

    def posterior(self, x: Tensor) -> Distribution:
        return self._made(1.5 * self.encoder(x))

    def prior(self) -> Distribution:
        return self._made(self.top if self.bits else torch.cat([self.top, self.top]))

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        return -0.5 * (x - self.decoder(z)).square().sum(-1)


X = torch.tensor([[0.3, -1.2, 0.8], [1.1, 0.4, -0.5], [-0.7, 0.9, 0.2]])


class Tempered:
    """log p(x|z) + w (log p(z) - log q(z)), sampled, with a weight that rises."""

    def log_ratio(self, model, x, z, q):
        return model.prior().log_prob(z) - q.log_prob(z)

    def __call__(self, model: Model, x: Tensor, step: int) -> Expectation:
        weight = 0.5 + 0.5 * min(1.0, step / 100)
        return Expectation(
            q=model.posterior(x),
            f=lambda z, q: model.log_likelihood(x, z) + weight * self.log_ratio(model, x, z, q),
            context=x,
        )


class Capacity:
    """log p(x|z), and -3 |KL - 0.5| in closed form."""

    def __call__(self, model: Model, x: Tensor, step: int) -> Expectation:
        q = model.posterior(x)
        penalty = 3.0 * (self.divergence(model, q) - 0.5).abs()
        return Expectation(q=q, f=self.f(model, x, q), context=x, exact=self.exact(-penalty))

    def divergence(self, model, q):
        return kl_divergence(q, model.prior())

    def f(self, model, x, q):
        return lambda z, _: model.log_likelihood(x, z)

    def exact(self, term):
        return term


class Weighted:
    """The importance-weighted bound."""

    def __call__(self, model: Model, x: Tensor, step: int) -> Expectation:
        def f(z, q):
            return model.log_likelihood(x, z) + model.prior().log_prob(z) - q.log_prob(z)

        return Expectation(q=model.posterior(x), f=f, bound=LogMeanExp())


def on_normals(estimator=None):
    return Model(Pathwise() if estimator is None else estimator, bits=False)


def on_bits(estimator=None):
    return Model(DisARM() if estimator is None else estimator, bits=True)
