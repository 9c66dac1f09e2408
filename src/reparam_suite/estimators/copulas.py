"""Copulas: how the uniforms behind K coupled samples repel each other.

A rare value, of probability m <= 1/2, is drawn where log u < log m. All that an unbiased estimator has to know of the
coupling is how often two samples draw it together; in logarithms it stays exact for logits of any size.
"""

import math
from abc import ABC, abstractmethod
from typing import final

import numpy as np
import torch
from torch import Tensor

from reparam_suite.estimators.base import uniform

# Gauss-Legendre on [0, 1]. The integrand is smooth there, K being at least 3: 8 nodes leave an error of 1e-14.
_NODES = [float(node) / 2.0 + 0.5 for node in np.polynomial.legendre.leggauss(8)[0]]
_WEIGHTS = [float(weight) / 2.0 for weight in np.polynomial.legendre.leggauss(8)[1]]


class Copula(ABC):
    """K exchangeable uniforms, each pair of which depends negatively."""

    @abstractmethod
    def draw(self, num_samples: int, like: Tensor) -> Tensor:
        """The logarithms of K coupled uniforms for each element of `like`, `[K, *like]`, float32 or wider."""

    @abstractmethod
    def overlap(self, log_m: Tensor, num_samples: int) -> Tensor:
        """P(u_2 < m | u_1 < m) for m in (0, 1/2]: at most m, which is what independent samples have."""


@final
class DirichletCopula(Copula):
    """u_k = (1 - d_k)^(K - 1), with d uniform on the simplex; for K = 2 the antithetic pair u, 1 - u.

    P(u_1 < m, u_2 < m) = max(0, 2 m^(1 / (K - 1)) - 1)^(K - 1)
    Dimitriev & Zhou (2021), arXiv 2105.14141.
    """

    def draw(self, num_samples: int, like: Tensor) -> Tensor:
        """(K - 1) log(1 - d_k) from K exponentials."""
        exponentials = -uniform((num_samples, *like.shape), like).log()
        d = exponentials / exponentials.sum(0)
        return (num_samples - 1) * torch.log1p(-d.clamp_max(1.0 - torch.finfo(d.dtype).eps / 2))

    def overlap(self, log_m: Tensor, num_samples: int) -> Tensor:
        """max(0, 2 - m^(-1 / (K - 1)))^(K - 1)."""
        base = (2.0 - (-log_m / (num_samples - 1)).exp()).clamp_min(0.0)
        return base.pow(num_samples - 1)


@final
class GaussianCopula(Copula):
    """u_k = Phi(x_k), with x standard normal and every correlation -1 / (K - 1), the lowest that K variables can have.

    P(u_1 < m, u_2 < m) = m^2 - 1/(2 pi) int_a^0 exp(-h^2 / (1 + sin t)) dt,  Phi(h) = m, sin a = -1 / (K - 1)
    Dimitriev & Zhou (2021), arXiv 2105.14141; the integral is Plackett's (1954).
    """

    def draw(self, num_samples: int, like: Tensor) -> Tensor:
        """Log Phi of K normals whose sum is 0."""
        dtype = torch.promote_types(like.dtype, torch.float32)
        x = torch.randn((num_samples, *like.shape), dtype=dtype, device=like.device)
        spread = math.sqrt(num_samples / (num_samples - 1))
        log_u: Tensor = torch.special.log_ndtr((x - x.mean(0)) * spread)
        return log_u

    def overlap(self, log_m: Tensor, num_samples: int) -> Tensor:
        """The joint probability over m; the integral by Gauss-Legendre nodes."""
        if num_samples == 2:  # u and 1 - u are never both below 1/2
            return torch.zeros_like(log_m)
        lowest = math.asin(-1.0 / (num_samples - 1))
        sine = (log_m.new_tensor(_NODES) * lowest).sin()
        weight = log_m.new_tensor(_WEIGHTS) * (-lowest / (2.0 * math.pi))
        m = log_m.exp()
        h = torch.special.ndtri(m.clamp_min(torch.finfo(m.dtype).tiny)).unsqueeze(-1)
        integral: Tensor = (weight * (-h.square() / (1.0 + sine) - log_m.unsqueeze(-1)).exp()).sum(-1)
        return (m - integral).clamp_min(0.0)
