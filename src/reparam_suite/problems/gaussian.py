"""Problems over normal latents: closed forms and quadrature."""

import math
from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from reparam_suite.distributions import (
    multivariate_normal,
    normal,
)
from reparam_suite.estimators import Average
from reparam_suite.estimators.base import Integrand
from reparam_suite.problems.base import Problem


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
        nodes, weights = (torch.from_numpy(array) for array in np.polynomial.hermite_e.hermegauss(self.num_nodes))
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
