"""Problems over bits and one-hot latents, summed state by state."""

import itertools
import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, final

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Distribution

from reparam_suite.distributions import (
    bernoulli,
    categorical,
)
from reparam_suite.estimators import Average
from reparam_suite.estimators.base import Integrand
from reparam_suite.problems.base import Problem


class DiscreteProblem(Problem):
    """A problem over D latents of finitely many values, summed state by state in a plain loop."""

    @abstractmethod
    def values_of_a_latent(self) -> Sequence[Sequence[float]]:
        """The values of one latent: 0 and 1, or the C one-hot vectors."""

    @abstractmethod
    def probability(self, phi: Tensor, state: Tensor) -> Tensor:
        """q(z) of one state, `[]`, as a product over its latents."""

    def exact_value(self, phi: Tensor, theta: Tensor) -> Tensor:
        """The sum over every state, or every K-tuple of states, one by one."""
        f, q = self.integrand(theta), self.q(phi)
        latent = self.values_of_a_latent()
        states = [torch.tensor(z, dtype=phi.dtype) for z in itertools.product(latent, repeat=self.num_latents)]
        states = [z.reshape(q.event_shape) for z in states]
        weights = [self.probability(phi, z) for z in states]
        values = [f(z.unsqueeze(0), q).squeeze(0) for z in states]
        num_samples = 1 if isinstance(self.bound, Average) else self.num_samples
        total = phi.new_zeros(())
        for indices in itertools.product(range(len(states)), repeat=num_samples):
            weight = math.prod((weights[i] for i in indices), start=phi.new_ones(()))
            total = total + weight * self.bound.value(torch.stack([values[i] for i in indices]))
        return total


class BernoulliProblem(DiscreteProblem):
    """Three independent bits."""

    num_latents = 3

    @property
    def phi(self) -> Tensor:
        """Three logits, none of them near 0."""
        return torch.tensor([0.8, -1.3, 0.4], dtype=torch.float64)

    def q(self, phi: Tensor) -> Distribution:
        """Bits with logits phi."""
        return bernoulli(phi)

    def values_of_a_latent(self) -> Sequence[Sequence[float]]:
        """0 and 1."""
        return [[0.0], [1.0]]

    def probability(self, phi: Tensor, state: Tensor) -> Tensor:
        """The product of p or 1 - p."""
        p = 1.0 / (1.0 + torch.exp(-phi))
        return torch.stack([p[d] if state[d] == 1.0 else 1.0 - p[d] for d in range(self.num_latents)]).prod()


class CategoricalProblem(DiscreteProblem):
    """Two independent one-hot latents of three classes."""

    num_latents = 2
    num_classes: ClassVar[int] = 3

    @property
    def phi(self) -> Tensor:
        """Two times three logits, row by row."""
        return torch.tensor([0.7, -0.5, 0.1, -0.9, 0.2, 1.1], dtype=torch.float64)

    def q(self, phi: Tensor) -> Distribution:
        """One-hot latents with logits phi."""
        return categorical(phi.unflatten(-1, (self.num_latents, self.num_classes)))

    def values_of_a_latent(self) -> Sequence[Sequence[float]]:
        """The corners of the simplex."""
        return torch.eye(self.num_classes).tolist()

    def probability(self, phi: Tensor, state: Tensor) -> Tensor:
        """The product of the softmax probabilities of the classes."""
        weights = torch.exp(phi.reshape(self.num_latents, self.num_classes))
        return ((weights / weights.sum(-1, keepdim=True)) * state).sum(-1).prod()


def _curved(z: Tensor, theta: Tensor) -> Tensor:
    # Neither linear nor quadratic in any coordinate, coupled, and different in each: no estimator is exact by luck.
    slope = torch.linspace(-1.1, 0.9, z.shape[-1], dtype=z.dtype, device=z.device)
    target = torch.linspace(0.2, 0.7, z.shape[-1], dtype=z.dtype, device=z.device)
    bumps = torch.exp(theta[..., 0] * (slope * z).sum(-1))
    errors = (z - target).pow(4).sum(-1) * theta[..., 1]
    coupling = z[..., 0] * z[..., -1] * theta[..., 2]
    return bumps + errors + coupling


@final
class BernoulliCurved(BernoulliProblem):
    """A coupled, curved f of three bits."""

    @property
    def theta(self) -> Tensor:
        """Three weights."""
        return torch.tensor([0.9, 1.4, -0.8], dtype=torch.float64)

    def integrand(self, theta: Tensor) -> Integrand:
        """exp(theta_0 <slope, z>) + theta_1 sum (z - t)^4 + theta_2 z_0 z_2."""
        return lambda z, _: _curved(z, theta)


@final
class CategoricalCurved(CategoricalProblem):
    """A coupled, curved f of two one-hot latents."""

    @property
    def theta(self) -> Tensor:
        """Three weights."""
        return torch.tensor([0.9, 1.4, -0.8], dtype=torch.float64)

    def integrand(self, theta: Tensor) -> Integrand:
        """The same function of the flattened latents."""
        return lambda z, _: _curved(z.flatten(-2), theta)


def _log_joint(z: Tensor, theta: Tensor) -> Tensor:
    # log p(z) + log p(x|z) for one datum of two bits; z [K, *B, M] are M numbers in [0, 1].
    num_inputs = z.shape[-1]
    prior = torch.linspace(-0.4, 0.5, num_inputs, dtype=z.dtype, device=z.device)
    x = torch.tensor([1.0, 0.0], dtype=z.dtype, device=z.device)
    weight, bias = theta[..., :-2].unflatten(-1, (2, num_inputs)), theta[..., -2:]
    logits = (weight * z.unsqueeze(-2)).sum(-1) + bias
    log_likelihood: Tensor = (x * logits - F.softplus(logits)).sum(-1)
    # The prior's constant is that of independent bits: it keeps the value away from 0.
    return (z * prior).sum(-1) - F.softplus(prior).sum() + log_likelihood


class _Model(DiscreteProblem):
    # A logistic model of two pixels, with log q inside f.
    @property
    def theta(self) -> Tensor:
        """The decoder: two rows of weights, then two biases."""
        num_inputs = len(self.phi)
        weights = torch.linspace(-1.5, 1.2, 2 * num_inputs, dtype=torch.float64).cos() * 1.7
        return torch.cat([weights, torch.tensor([0.3, -0.6], dtype=torch.float64)])

    def integrand(self, theta: Tensor) -> Integrand:
        """Log p(x, z) - log q(z), up to the constant of the prior."""

        def f(z: Tensor, q: Distribution) -> Tensor:
            return _log_joint(z.flatten(-len(q.event_shape)), theta) - q.log_prob(z)

        return f


@final
class BernoulliModel(_Model, BernoulliProblem):
    """The evidence bound of a sigmoid belief network with three hidden and two visible units."""


@final
class CategoricalModel(_Model, CategoricalProblem):
    """The evidence bound of a logistic model with two categorical latents."""
