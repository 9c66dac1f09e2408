"""Problems beyond location and scale: gamma, beta, Dirichlet and von Mises latents."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, final

import torch
from torch import Tensor
from torch.distributions import Distribution

from reparam_suite.distributions import (
    beta,
    dirichlet,
    gamma,
    von_mises,
)
from reparam_suite.estimators import Average
from reparam_suite.estimators.base import Integrand
from reparam_suite.problems.base import Problem


class _MomentProblem(Problem):
    # f is a few terms with moments in closed form, minus log q(z), whose mean is the entropy.
    num_latents = 2

    @property
    def theta(self) -> Tensor:
        """Three weights."""
        return torch.tensor([0.9, 1.4, -0.8], dtype=torch.float64)

    @abstractmethod
    def terms(self, z: Tensor) -> Sequence[Tensor]:
        """Three functions of z, each `[K, *B]`."""

    @abstractmethod
    def moments(self, phi: Tensor) -> Sequence[Tensor]:
        """Their means, then the entropy, each `[]`."""

    def integrand(self, theta: Tensor) -> Integrand:
        """Theta times the terms, minus log q(z)."""
        return lambda z, q: (theta * torch.stack(list(self.terms(z)), -1)).sum(-1) - q.log_prob(z)

    def exact_value(self, phi: Tensor, theta: Tensor) -> Tensor:
        """Theta times their means, plus the entropy."""
        *means, entropy = self.moments(phi)
        return (theta * torch.stack(means)).sum() + entropy


@final
class GammaModel(_MomentProblem):
    """Powers, products and exponentials of two gamma variables; phi is log concentration, then log rate."""

    @property
    def phi(self) -> Tensor:
        """Concentrations 2.2 and 0.7; rates 1.3 and 0.6."""
        return torch.tensor([2.2, 0.7, 1.3, 0.6], dtype=torch.float64).log()

    def q(self, phi: Tensor) -> Distribution:
        """Gamma(concentration, rate)."""
        return gamma(*phi.exp().chunk(2, dim=-1))

    def terms(self, z: Tensor) -> Sequence[Tensor]:
        """z_0^1.5, exp(-z_1) and z_0 z_1."""
        return z[..., 0] ** 1.5, (-z[..., 1]).exp(), z.prod(-1)

    def moments(self, phi: Tensor) -> Sequence[Tensor]:
        """By the gamma function."""
        a, r = phi.exp().chunk(2)
        power = ((a[0] + 1.5).lgamma() - a[0].lgamma() - 1.5 * r[0].log()).exp()
        entropy = a - r.log() + a.lgamma() + (1.0 - a) * a.digamma()
        return power, (r[1] / (1.0 + r[1])) ** a[1], (a / r).prod(), entropy.sum()


def _log_beta(a: Tensor) -> Tensor:
    # The logarithm of the multivariate beta function of a, [.., C] -> [..].
    return a.lgamma().sum(-1) - a.sum(-1).lgamma()


def _dirichlet_moment(a: Tensor, powers: Sequence[float]) -> Tensor:
    # E prod_c z_c^powers_c, [C] -> [].
    return (_log_beta(a + a.new_tensor(powers)) - _log_beta(a)).exp()


def _dirichlet_entropy(a: Tensor) -> Tensor:
    total = a.sum(-1)
    return _log_beta(a) + (total - a.shape[-1]) * total.digamma() - ((a - 1.0) * a.digamma()).sum(-1)


@final
class BetaModel(_MomentProblem):
    """Polynomials of two beta variables; phi is the log concentration at 1, then at 0."""

    @property
    def theta(self) -> Tensor:
        """Three weights, that keep the value away from 0."""
        return torch.tensor([3.1, 2.4, 0.8], dtype=torch.float64)

    @property
    def phi(self) -> Tensor:
        """Concentrations 2.3 and 0.8 at 1; 1.4 and 1.9 at 0."""
        return torch.tensor([2.3, 0.8, 1.4, 1.9], dtype=torch.float64).log()

    def q(self, phi: Tensor) -> Distribution:
        """Beta(concentration1, concentration0)."""
        return beta(*phi.exp().chunk(2, dim=-1))

    def terms(self, z: Tensor) -> Sequence[Tensor]:
        """z_0^1.5 (1 - z_0), z_1^2 and z_0 z_1."""
        return z[..., 0] ** 1.5 * (1.0 - z[..., 0]), z[..., 1].square(), z.prod(-1)

    def moments(self, phi: Tensor) -> Sequence[Tensor]:
        """By the beta function."""
        a = phi.exp().reshape(2, 2).T  # [D, 2]
        product = _dirichlet_moment(a[0], [1.0, 0.0]) * _dirichlet_moment(a[1], [1.0, 0.0])
        curved, square = _dirichlet_moment(a[0], [1.5, 1.0]), _dirichlet_moment(a[1], [2.0, 0.0])
        return curved, square, product, _dirichlet_entropy(a).sum()


@final
class DirichletModel(_MomentProblem):
    """Polynomials of two points of the simplex of three classes; phi is the log concentrations, row by row."""

    @property
    def phi(self) -> Tensor:
        """Concentrations 1.5, 0.8, 2.2 and 0.6, 3.0, 1.1."""
        return torch.tensor([1.5, 0.8, 2.2, 0.6, 3.0, 1.1], dtype=torch.float64).log()

    def q(self, phi: Tensor) -> Distribution:
        """Dirichlet(concentration), twice."""
        return dirichlet(phi.exp().unflatten(-1, (2, 3)))

    def terms(self, z: Tensor) -> Sequence[Tensor]:
        """z_00^1.5 z_01, z_12^2 and z_02 z_10."""
        return z[..., 0, 0] ** 1.5 * z[..., 0, 1], z[..., 1, 2].square(), z[..., 0, 2] * z[..., 1, 0]

    def moments(self, phi: Tensor) -> Sequence[Tensor]:
        """By the beta function."""
        a = phi.exp().reshape(2, 3)
        product = _dirichlet_moment(a[0], [0.0, 0.0, 1.0]) * _dirichlet_moment(a[1], [1.0, 0.0, 0.0])
        curved, square = _dirichlet_moment(a[0], [1.5, 1.0, 0.0]), _dirichlet_moment(a[1], [0.0, 0.0, 2.0])
        return curved, square, product, _dirichlet_entropy(a).sum()


@final
class VonMisesModel(Problem):
    """Waves of two angles, minus log q(z); phi is loc, then log concentration."""

    num_latents = 2
    num_nodes: ClassVar[int] = 30

    @property
    def phi(self) -> Tensor:
        """Directions 0.6 and 2.7, the second across the cut at pi; concentrations 1.5 and 3."""
        return torch.tensor([0.6, 2.7, math.log(1.5), math.log(3.0)], dtype=torch.float64)

    @property
    def theta(self) -> Tensor:
        """Amplitude and phase of one wave, amplitude of another."""
        return torch.tensor([1.2, 0.4, -0.7], dtype=torch.float64)

    def q(self, phi: Tensor) -> Distribution:
        """VonMises(loc, concentration)."""
        loc, log_concentration = phi.chunk(2, dim=-1)
        return von_mises(loc, log_concentration.exp())

    def integrand(self, theta: Tensor) -> Integrand:
        """theta_0 cos(z_0 - theta_1) + theta_2 sin(z_0 + 2 z_1) - log q(z)."""
        return lambda z, q: self._waves(z, theta) - q.log_prob(z)

    def _waves(self, z: Tensor, theta: Tensor) -> Tensor:
        first = theta[..., 0] * (z[..., 0] - theta[..., 1]).cos()
        return first + theta[..., 2] * (z[..., 0] + 2.0 * z[..., 1]).sin()

    def exact_value(self, phi: Tensor, theta: Tensor) -> Tensor:
        """The bound by the trapezoid rule, next to exact on a circle, over all angles of the samples."""
        num_samples = 1 if isinstance(self.bound, Average) else self.num_samples
        loc, log_concentration = phi.chunk(2)
        circle = torch.arange(self.num_nodes, dtype=phi.dtype) * (2.0 * math.pi / self.num_nodes)
        log_mass = log_concentration.exp().unsqueeze(-1) * (circle - loc.unsqueeze(-1)).cos()
        log_mass = log_mass - log_mass.logsumexp(-1, keepdim=True)  # [D, nodes]
        log_density = log_mass + math.log(self.num_nodes / (2.0 * math.pi))
        pairs = torch.cartesian_prod(*[torch.arange(self.num_nodes)] * 2)  # [nodes^2, D]
        f = self._waves(circle[pairs], theta) - (log_density[0][pairs[:, 0]] + log_density[1][pairs[:, 1]])
        log_q = log_mass[0][pairs[:, 0]] + log_mass[1][pairs[:, 1]]
        if num_samples == 1:
            return (log_q.exp() * f).sum()
        tuples = torch.cartesian_prod(*[torch.arange(len(f))] * num_samples).T
        return (log_q[tuples].sum(0).exp() * self.bound.value(f[tuples])).sum()
