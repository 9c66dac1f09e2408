"""Small problems whose value and gradient are known exactly, for phi and for theta.

Each gives an `Expectation` for the estimators and, by another road (a closed form, a loop over the states,
quadrature), the number that they must find. All are asymmetric: at logit 0 straight-through looks unbiased and an
antithetic pair has no variance at all.
"""

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Distribution

from reparam_suite.estimators import Average, Bound, Expectation
from reparam_suite.estimators.base import Integrand
from reparam_suite.variational import (
    bernoulli,
    beta,
    categorical,
    dirichlet,
    gamma,
    multivariate_normal,
    normal,
    von_mises,
)


class Problem(ABC):
    """E_q[bound(f)] with q made from phi and f from theta.

    Args:
        bound: what becomes of the K values.
        num_samples: the K of that bound; on Average the exact value does not depend on it.
    """

    num_latents: ClassVar[int]

    def __init__(self, *, bound: Bound | None = None, num_samples: int = 1) -> None:
        self.bound: Bound = Average() if bound is None else bound
        self.num_samples = num_samples

    def __str__(self) -> str:
        suffix = "" if isinstance(self.bound, Average) else f"-{type(self.bound).__name__}{self.num_samples}"
        return f"{type(self).__name__}{suffix}"

    @property
    @abstractmethod
    def phi(self) -> Tensor:
        """Where the gradient is asked for: the parameters of q, `[P]`, float64."""

    @property
    @abstractmethod
    def theta(self) -> Tensor:
        """The parameters of f, `[T]`, float64."""

    @abstractmethod
    def q(self, phi: Tensor) -> Distribution:
        """The distribution with parameters phi `[*B, P]`, batch_shape `[*B]`."""

    @abstractmethod
    def integrand(self, theta: Tensor) -> Integrand:
        """The f with parameters theta `[*B, T]`."""

    @abstractmethod
    def exact_value(self, phi: Tensor, theta: Tensor) -> Tensor:
        """The value `[]` at phi `[P]` and theta `[T]`, differentiable, by a road that no estimator takes."""

    def expectation(self, phi: Tensor, theta: Tensor) -> Expectation:
        """What an estimator is given, from phi `[*B, P]` and theta `[*B, T]`."""
        return Expectation(q=self.q(phi), f=self.integrand(theta), bound=self.bound, context=phi.detach())

    def exact_gradient(self) -> Tensor:
        """The exact gradient by phi, then theta, `[P + T]`."""
        phi, theta = self.phi.requires_grad_(), self.theta.requires_grad_()
        return torch.cat(torch.autograd.grad(self.exact_value(phi, theta), (phi, theta)))


# ------------------------------------------------------------------------------------------------------------- discrete


class DiscreteProblem(Problem):
    """A problem over D latents of finitely many values, summed state by state in a plain loop."""

    @abstractmethod
    def values_of_a_latent(self) -> Sequence[Sequence[float]]:
        """What one latent can be: 0 and 1, or the C one-hot vectors."""

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


# ------------------------------------------------------------------------------------------------------------- Gaussian


class GaussianProblem(Problem):
    """Two independent normals; phi is loc, then log scale."""

    num_latents = 2

    @property
    def phi(self) -> Tensor:
        """Means 0.6 and -0.4; standard deviations 0.74 and 1.22."""
        return torch.tensor([0.6, -0.4, -0.3, 0.2], dtype=torch.float64)

    def q(self, phi: Tensor) -> Distribution:
        """N(loc, diag(scale^2))."""
        loc, log_scale = phi.chunk(2, dim=-1)
        return normal(loc, log_scale.exp())

    def moments(self, phi: Tensor) -> tuple[Tensor, Tensor]:
        """Mean `[D]` and covariance `[D, D]` at phi `[P]`."""
        loc, log_scale = phi.chunk(2)
        return loc, torch.diag((2.0 * log_scale).exp())


class FullGaussianProblem(GaussianProblem):
    """Two correlated normals; phi is loc, the log diagonal of L, then what is below it."""

    @property
    def phi(self) -> Tensor:
        """As the independent one, with L_10 = 0.7."""
        return torch.tensor([0.6, -0.4, -0.3, 0.2, 0.7], dtype=torch.float64)

    def q(self, phi: Tensor) -> Distribution:
        """N(loc, L L^T)."""
        loc, log_diagonal, below = phi.split([2, 2, 1], dim=-1)
        return multivariate_normal(loc, self._cholesky(log_diagonal, below))

    def moments(self, phi: Tensor) -> tuple[Tensor, Tensor]:
        """Mean `[D]` and covariance `[D, D]` at phi `[P]`."""
        loc, log_diagonal, below = phi.split([2, 2, 1])
        scale_tril = self._cholesky(log_diagonal, below)
        return loc, scale_tril @ scale_tril.T

    def _cholesky(self, log_diagonal: Tensor, below: Tensor) -> Tensor:
        lower = torch.tensor([[0.0, 0.0], [1.0, 0.0]], dtype=below.dtype, device=below.device)
        return torch.diag_embed(log_diagonal.exp()) + below.unsqueeze(-1) * lower


class _Quadratic(GaussianProblem):
    # f = -1/2 (z - a)^T A (z - a) with A fixed and positive definite; a is theta.
    @property
    def theta(self) -> Tensor:
        """The centre a."""
        return torch.tensor([-0.5, 0.9], dtype=torch.float64)

    def integrand(self, theta: Tensor) -> Integrand:
        """-1/2 (z - theta)^T A (z - theta)."""

        def f(z: Tensor, _: Distribution) -> Tensor:
            error = z - theta
            return -0.5 * (error * (error @ _CURVATURE.to(z))).sum(-1)

        return f

    def exact_value(self, phi: Tensor, theta: Tensor) -> Tensor:
        """-1/2 (m - theta)^T A (m - theta) - 1/2 tr(A S)."""
        mean, covariance = self.moments(phi)
        error = mean - theta
        return -0.5 * (error @ _CURVATURE @ error + (_CURVATURE * covariance).sum())


_CURVATURE = torch.tensor([[1.3, 0.4], [0.4, 0.7]], dtype=torch.float64)


@final
class GaussianQuadratic(_Quadratic):
    """A quadratic f of two independent normals."""


@final
class FullGaussianQuadratic(_Quadratic, FullGaussianProblem):
    """A quadratic f of two correlated normals."""


class _Wave(GaussianProblem):
    # E sin(<a, z> + c) = sin(<a, m> + c) exp(-a^T S a / 2): the characteristic function.
    @property
    def theta(self) -> Tensor:
        """The wave vector a, the phase c and the amplitude."""
        return torch.tensor([0.8, -1.1, 0.5, 1.6], dtype=torch.float64)

    def integrand(self, theta: Tensor) -> Integrand:
        """theta_3 sin(theta_0 z_0 + theta_1 z_1 + theta_2)."""
        return lambda z, _: theta[..., 3] * ((theta[..., :2] * z).sum(-1) + theta[..., 2]).sin()

    def exact_value(self, phi: Tensor, theta: Tensor) -> Tensor:
        """theta_3 sin(<a, m> + c) exp(-a^T S a / 2)."""
        mean, covariance = self.moments(phi)
        wave = theta[:2]
        return theta[3] * (wave @ mean + theta[2]).sin() * (-0.5 * wave @ covariance @ wave).exp()


@final
class GaussianWave(_Wave):
    """A wave under two independent normals: f is neither convex nor polynomial."""


@final
class FullGaussianWave(_Wave, FullGaussianProblem):
    """A wave under two correlated normals."""


class _LinearModel(GaussianProblem):
    # p(z) = N(0, I), p(x|z) = N(w z + b, s^2): one datum x, one pixel; theta is w and b.
    x: ClassVar[float] = 1.3
    noise: ClassVar[float] = 0.8
    num_nodes: ClassVar[int] = 40

    @property
    def theta(self) -> Tensor:
        """The decoder: two weights and a bias."""
        return torch.tensor([0.9, -0.6, 0.2], dtype=torch.float64)

    def integrand(self, theta: Tensor) -> Integrand:
        """log p(x, z) - log q(z)."""

        def f(z: Tensor, q: Distribution) -> Tensor:
            return self._log_joint(z, theta) - q.log_prob(z)

        return f

    def _log_joint(self, z: Tensor, theta: Tensor) -> Tensor:
        error = (self.x - (theta[..., :2] * z).sum(-1) - theta[..., 2]) / self.noise
        constant = 1.5 * math.log(2.0 * math.pi) + math.log(self.noise)
        return -0.5 * (z.square().sum(-1) + error.square()) - constant

    def exact_value(self, phi: Tensor, theta: Tensor) -> Tensor:
        """The bound by Gauss-Hermite quadrature over all K D coordinates of the samples."""
        num_samples = 1 if isinstance(self.bound, Average) else self.num_samples
        mean, covariance = self.moments(phi)
        scale_tril = torch.linalg.cholesky(covariance)
        nodes, weights = (torch.from_numpy(each) for each in np.polynomial.hermite_e.hermegauss(self.num_nodes))
        num_coordinates = num_samples * self.num_latents
        grid = torch.cartesian_prod(*[nodes] * num_coordinates).reshape(-1, num_samples, self.num_latents)
        mass = torch.cartesian_prod(*[weights] * num_coordinates).prod(-1) / math.sqrt(2.0 * math.pi) ** num_coordinates
        z = mean + grid @ scale_tril.T
        log_q = -0.5 * grid.square().sum(-1) - scale_tril.diagonal().log().sum() - math.log(2.0 * math.pi)
        return (mass * self.bound.value((self._log_joint(z, theta) - log_q).T)).sum()


@final
class GaussianModel(_LinearModel):
    """The evidence bound of a linear Gaussian model under a factorised q."""


@final
class FullGaussianModel(_LinearModel, FullGaussianProblem):
    """The evidence bound of a linear Gaussian model under a full-covariance q."""


@final
class ToyGaussian(Problem):
    """E_{N(phi, 1)}[z^2] = phi^2 + 1, whose estimators have variances in closed form.

    The score function's is phi^4 + 14 phi^2 + 15, the pathwise one's is 4; at phi = 2 they are 87 and 4.
    """

    num_latents = 1

    @property
    def phi(self) -> Tensor:
        """The mean, 2."""
        return torch.tensor([2.0], dtype=torch.float64)

    @property
    def theta(self) -> Tensor:
        """A factor before z^2, 1."""
        return torch.tensor([1.0], dtype=torch.float64)

    def q(self, phi: Tensor) -> Distribution:
        """N(phi, 1)."""
        return normal(phi, torch.ones_like(phi))

    def integrand(self, theta: Tensor) -> Integrand:
        """Theta z^2."""
        return lambda z, _: theta[..., 0] * z.squeeze(-1).square()

    def exact_value(self, phi: Tensor, theta: Tensor) -> Tensor:
        """Theta (phi^2 + 1)."""
        return theta[0] * (phi[0].square() + 1.0)

    def variance_of_score_function(self) -> float:
        """Of one sample of z^2 (z - phi): phi^4 + 14 phi^2 + 15."""
        mean = self.phi.item()
        return mean**4 + 14.0 * mean**2 + 15.0

    def variance_of_pathwise(self) -> float:
        """Of one sample of 2 z: 4."""
        return 4.0


# ------------------------------------------------------------------------------------------ beyond location and scale


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
