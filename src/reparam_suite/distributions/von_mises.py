"""The von Mises distribution with an implicit reparameterization gradient."""

import functools
import math
from typing import Any, final

import torch
from torch import Tensor
from torch.distributions import VonMises as TorchVonMises


@final
class VonMises(TorchVonMises):
    """A direction in the plane, as an angle; its samples carry the gradient of loc and concentration.

    log q(z) = concentration cos(z - loc) - log(2 pi I_0(concentration))

    Angles are in [-pi, pi), and functions of them are taken to have period 2 pi. PyTorch's own has no gradient through
    its samples, and an I_0 that is good to 7 digits.
    Figurnov, Mohamed & Mnih (2018), arXiv 1805.08498, eq. 5: dz/dconcentration = -(dF/dconcentration) / q(z).
    """

    has_rsample = True

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-density at `value`, `[*B]`."""
        from_mode: Tensor = -2.0 * self.concentration * (0.5 * (value - self.loc)).sin().square()
        log_scaled: Tensor = torch.special.i0e(self.concentration.double()).log()
        return from_mode - log_scaled.to(from_mode.dtype) - math.log(2.0 * math.pi)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Samples `[*sample_shape, *B]`; with respect to concentration they have the derivative of the quantile."""
        with torch.no_grad():
            z: Tensor = self.sample(torch.Size(sample_shape))
            slope = _von_mises_slope(z - self.loc, self.concentration)
        by_concentration = slope * (self.concentration - self.concentration.detach())
        moved: Tensor = z + (self.loc - self.loc.detach()) + by_concentration
        return moved


def _von_mises_slope(centred: Tensor, concentration: Tensor) -> Tensor:
    # -(dF/dk) / q at x = |centred| in [0, pi], odd in `centred`. With d log q(t) / dk = cos t - A, A = I_1(k) / I_0(k),
    #
    #     -(dF/dk) / q(x) = -int_0^x (cos t - A) exp(k (cos t - cos x)) dt = int_x^pi (the same) dt:
    #
    # their difference, the integral over all of [0, pi], is 0. Within about one standard deviation the first is
    # free of cancellation, beyond it the second, whose exponential falls from 1. Where it has fallen to exp(-40) the
    # integral is cut off. Gauss-Legendre quadrature of 24 nodes is right to 9 digits for any k; in float64, since
    # cos t - A is of the order of 1/k.
    dtype, k = centred.dtype, concentration.double()
    centred = torch.remainder(centred.double() + math.pi, 2.0 * math.pi) - math.pi
    x = centred.abs()
    one_minus_a = (torch.special.i0e(k) - torch.special.i1e(k)) / torch.special.i0e(k)
    inner = k * (1.0 - x.cos()) < 1.0
    start = torch.where(inner, 0.0, x)
    end = torch.where(inner, x, (x.cos() - 40.0 / k).clamp(min=-1.0).acos())
    shape = (-1, *(1,) * x.dim())
    nodes, weights = (tensor.to(x.device).reshape(shape) for tensor in _gauss_legendre(24))
    t = start + (end - start) * nodes
    exponent = -2.0 * k * (0.5 * (t + x)).sin() * (0.5 * (t - x)).sin()
    integrand = (one_minus_a - 2.0 * (0.5 * t).sin().square()) * exponent.exp()
    integral = (end - start) * (weights * integrand).sum(0)
    return (torch.where(inner, -integral, integral) * centred.sign()).to(dtype)


@functools.cache
def _gauss_legendre(num_nodes: int) -> tuple[Tensor, Tensor]:
    # On [0, 1], by the eigenvectors of the Jacobi matrix: Golub & Welsch (1969).
    n = torch.arange(1, num_nodes, dtype=torch.float64)
    beside = n / (4.0 * n.square() - 1.0).sqrt()
    nodes, vectors = torch.linalg.eigh(beside.diag(1) + beside.diag(-1))
    return 0.5 * (nodes + 1.0), vectors[0].square()
