"""Models that exist in these tests alone: networks of every kind, and models that are no VAEs."""

import math
from dataclasses import replace
from typing import ClassVar, final

import torch
import torch.nn.functional as F
from tests.diagnostics.own_estimators import ThroughTheGradient
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal, constraints

from reparam_suite.distributions import bernoulli, kl_divergence, normal
from reparam_suite.estimators import DisARM, Expectation, GradientEstimator, Pathwise
from reparam_suite.models import VAE, GaussianVAE


class NormalPosterior(nn.Module):
    """q(z|x) by a network that gives loc and raw scale."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Distribution:
        loc, raw = self.network(x).chunk(2, -1)
        return normal(loc, F.softplus(raw) + 0.1)


class NormalLikelihood(nn.Module):
    """p(x|z) with a learned scale, by a network that sees one batch axis."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.log_scale = nn.Parameter(torch.tensor(-0.3))

    def forward(self, z: Tensor) -> Distribution:
        loc = self.network(z.flatten(0, -2))
        loc = loc.view(*z.shape[:-1], *loc.shape[1:])
        return Independent(Normal(loc, self.log_scale.exp(), validate_args=False), loc.dim() - z.dim() + 1)


class LearnedPrior(nn.Module):
    """A normal whose parameters a little network computes from nothing."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("one", torch.ones(1))
        self.network = nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 2 * size))

    def forward(self) -> Distribution:
        loc, raw = self.network(self.one).chunk(2, -1)
        return normal(loc, F.softplus(raw) + 0.5)


class PlainVAE(nn.Module):
    """A VAE that is no LightningModule, with an objective in plain sight."""

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, *, latent_size: int, estimator: GradientEstimator | None = None
    ) -> None:
        super().__init__()
        self.posterior = NormalPosterior(encoder)
        self.likelihood = NormalLikelihood(decoder)
        self.prior = LearnedPrior(latent_size)
        self.estimator = Pathwise(num_samples=2) if estimator is None else estimator

    def expectation(self, x: Tensor) -> Expectation:
        q, p = self.posterior(x), self.prior()
        return Expectation(q=q, f=lambda z, _: self.likelihood(z).log_prob(x), exact=-kl_divergence(q, p))


class LowerHalf(nn.Module):
    """A stochastic hidden layer that predicts `below` from `above`: a batch is a dictionary with a tuple in it."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
        self.output = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
        self.offset = nn.Parameter(torch.tensor([0.3]))
        self.estimator = DisARM(num_samples=4)

    def expectation(self, batch: dict[str, object]) -> Expectation:
        above, (below, _) = batch["above"], batch["rest"]

        def f(z: Tensor, _: Distribution) -> Tensor:
            logits = self.output(z) + self.offset
            return -F.binary_cross_entropy_with_logits(logits, below.expand_as(logits), reduction="none").sum(-1)

        return Expectation(q=bernoulli(self.hidden(above)), f=f, context=above)

    @staticmethod
    def batch(num_data: int) -> dict[str, object]:
        generator = torch.Generator().manual_seed(3)
        x = torch.rand(num_data, 6, dtype=torch.float64, generator=generator).round()
        return {"above": x[:, :4], "rest": (x[:, 4:], "a name"), "number": 3}


class Steps(nn.Module):
    """Latents at each of several steps of a datum: q has the batch shape `[B, T]`."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.GRU(2, 4, batch_first=True)
        self.head = nn.Linear(4, 6)
        self.decoder = nn.Linear(3, 2)
        self.estimator = Pathwise()

    def expectation(self, x: Tensor) -> Expectation:
        loc, raw = self.head(self.encoder(x)[0]).chunk(2, -1)
        return Expectation(q=normal(loc, F.softplus(raw)), f=lambda z, _: -(self.decoder(z) - x).square().sum(-1))


class SharedLatents(nn.Module):
    """A Bayesian linear regression: the weights are the latents, and all data share them."""

    def __init__(self) -> None:
        super().__init__()
        self.loc = nn.Parameter(torch.zeros(3))
        self.raw = nn.Parameter(torch.zeros(3))
        self.estimator = Pathwise()

    def expectation(self, x: Tensor) -> Expectation:
        q = normal(self.loc, F.softplus(self.raw))
        p = normal(torch.zeros_like(self.loc), torch.ones_like(self.loc))
        return Expectation(q=q, f=lambda w, _: -(w @ x.T - 1.0).square().mean(-1), exact=-kl_divergence(q, p))


class MixedInputs(PlainVAE):
    """A VAE that takes the mean of the batch off: its data have gradients of their own, the parts of a batch none."""

    def expectation(self, x: Tensor) -> Expectation:
        return super().expectation(x - x.mean(0))


class Mixed(PlainVAE):
    """A VAE whose objective of a datum depends on the posteriors of all."""

    def expectation(self, x: Tensor) -> Expectation:
        target = super().expectation(x)
        return replace(target, exact=target.exact - 0.3 * (target.q.mean - target.q.mean.mean(0)).square().sum(-1))


class Attention(nn.Module):
    """Self-attention over the steps of a datum, of linear layers."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.queries, self.keys, self.values = (nn.Linear(size, size) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        weights = self.queries(x) @ self.keys(x).mT / math.sqrt(x.shape[-1])
        return weights.softmax(-1) @ self.values(x)


class TorchAttention(nn.Module):
    """Self-attention of PyTorch, whose output weights are used without a call of their layer."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(size, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x, need_weights=False)[0]


class Tokens(nn.Module):
    """Bits as tokens of an embedding."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(2, size)

    def forward(self, x: Tensor) -> Tensor:
        return self.embedding(x.flatten(1).long())


class TiedDecoder(nn.Module):
    """Two layers of one weight."""

    def __init__(self, size: int, num_outputs: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(size, size), nn.Linear(size, size)
        self.second.weight = self.first.weight
        self.last = nn.Linear(size, num_outputs)

    def forward(self, z: Tensor) -> Tensor:
        return self.last(self.second(self.first(z).tanh()).tanh())


def plain(**options) -> PlainVAE:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4))
        return PlainVAE(encoder, nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 6)), latent_size=2, **options)


def rows(num_data: int, size: int = 6) -> Tensor:
    return torch.rand(num_data, size, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).round()


def plain_networks() -> tuple[nn.Module, nn.Module]:
    model = plain()
    return model.posterior.network, model.likelihood.network


SIZES = {"event_shape": (6,), "latent_size": 3, "hidden_sizes": (5,), "activation": "tanh"}


def around_the_layers() -> dict[str, VAE]:
    torch.manual_seed(0)
    tied = GaussianVAE(**SIZES)
    tied.likelihood.network[0].weight = tied.likelihood.network[2].weight = nn.Parameter(torch.randn(6, 3))
    tied.likelihood.network[0].bias = nn.Parameter(torch.randn(6))
    tied.likelihood.network[2] = Transposed(tied.likelihood.network[0])
    normed = GaussianVAE(**SIZES)
    nn.utils.parametrizations.weight_norm(normed.likelihood.network[2])
    in_place = GaussianVAE(**SIZES)
    in_place.likelihood.network[1] = nn.LeakyReLU(0.3, inplace=True)
    through = GaussianVAE(**SIZES, estimator=ThroughTheGradient())
    return {
        name: model.double()
        for name, model in {"tied": tied, "parametrized": normed, "in place": in_place, "through": through}.items()
    }


@final
class Transposed(nn.Module):
    """The weight of another layer, used without calling it."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer = [layer]
        self.out = nn.Linear(3, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(x @ self.layer[0].weight)


class Coupled(Distribution):
    """Two latents, the second normal given the first by a network: its weights hold the law, as that of a flow."""

    arg_constraints: ClassVar = {}
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, features: Tensor, conditioner: nn.Module) -> None:
        self.features, self.conditioner = features, conditioner
        super().__init__(features.shape[:-1], torch.Size([2]), validate_args=False)

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        noise = torch.randn(self._extended_shape(sample_shape), dtype=self.features.dtype)
        first, second = noise.split(1, -1)
        given = self._second(first)
        return torch.cat([first, given.loc + given.scale * second], -1)

    def log_prob(self, value: Tensor) -> Tensor:
        first, second = value.split(1, -1)
        return (Normal(0.0, 1.0).log_prob(first) + self._second(first).log_prob(second)).squeeze(-1)

    def _second(self, first: Tensor) -> Normal:
        seen = torch.cat([first, self.features.expand(*first.shape[:-1], -1)], -1)
        loc, raw = self.conditioner(seen).chunk(2, -1)
        return Normal(loc, F.softplus(raw) + 0.1, validate_args=False)


class CoupledPosterior(nn.Module):
    """q(z|x) whose features and conditioner are networks."""

    def __init__(self, num_inputs: int) -> None:
        super().__init__()
        self.features = nn.Linear(num_inputs, 3)
        self.conditioner = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))

    def forward(self, x: Tensor) -> Distribution:
        return Coupled(self.features(x).tanh(), self.conditioner)
