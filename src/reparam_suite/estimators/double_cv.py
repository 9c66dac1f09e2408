"""Leave-one-out score functions, controlled twice by what the slope of f at the other samples says: DoubleCV, RODEO.

Both take df/dz at the hard samples and no value of f but theirs. Shapes: K samples, `*B`, D bits.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from reparam_suite.distributions import samples
from reparam_suite.estimators import latents
from reparam_suite.estimators.base import Estimate, Expectation, GradientEstimator, carry, slopes
from reparam_suite.estimators.bounds import Average
from reparam_suite.runtime.checks import integers, number


class DoublyControlled(GradientEstimator, ABC):
    """An estimator that adds terms of mean zero to the leave-one-out score function, inside its baseline and beside it.

    Args:
        num_samples: K, samples per datum, at least 2.
    """

    bounds = (Average,)
    differentiates_f = True
    unbiased = True

    def __init__(self, *, num_samples: int) -> None:
        super().__init__(num_samples=num_samples, fewest_samples=2)

    def fits(self, q: Distribution) -> str | None:
        """D independent bits."""
        return latents.bits(q)

    def draw(self, q: Distribution) -> Tensor:
        """K hard samples, `[K, *B, D]`."""
        return samples(q, self.num_samples)

    @abstractmethod
    def gradient(self, q: Distribution, z: Tensor, f: Tensor, slope: Tensor) -> Tensor:
        """The estimate by the logits, `[*B, D]`, from samples, their values and their slopes, all constants."""

    def estimate(self, target: Expectation) -> Estimate:
        """The bound at hard samples, carrying the controlled gradient."""
        logits = latents.logits_of(target.q)
        with torch.enable_grad():
            z = self.draw(target.q).detach().requires_grad_()
            f = target.values(z)
            slope = slopes(f, z, retain_graph=True)
        with torch.set_grad_enabled(self.training):
            gradient = self.gradient(target.q, z.detach(), f.detach(), slope)
            squared = gradient.square().sum(-1).mean()
        path = (gradient.detach() * logits).sum(-1)
        # The estimator's own parameters are all that its gradient, made of constants, depends on.
        return Estimate(objective=target.bound.value(f) + carry(path), control_loss=carry(squared))


def _others(values: Tensor) -> Tensor:
    # The mean over the other samples, [K, ...].
    return (values.sum(0) - values) / (len(values) - 1)


@final
class DoubleCV(DoublyControlled):
    """The leave-one-out score function with f replaced by f minus its tangent, and the tangent's gradient put back.

    mean_k (h_k - mean_{j != k} h_j) (z_k - p) + s G_k p (1 - p),  h_k = f(z_k) - s <G_k, z_k - p>           [*B, D]

    with G_k the mean slope of f at the other samples: the tangent controls the term of z_k, and the baselines of the
    others. Unbiased, and without noise at strength 1 where f is linear; factorised Bernoulli; f differentiable in z,
    near the corners. K evaluations of f and their slopes. Learns the strength s by the
    gradient of its squared gradient; 0 is LeaveOneOut.
    Titsias & Shi (2022), arXiv 2111.05300.

    Args:
        num_samples: K, samples per datum, at least 2.
        strength: s when training begins.

    Raises:
        ValueError: if `num_samples` is below 2.
    """

    def __init__(self, *, num_samples: int = 2, strength: float = 0.0) -> None:
        super().__init__(num_samples=num_samples)
        self.strength = number(f"strength of {type(self).__name__}", strength)
        self.learned_strength = nn.Parameter(torch.tensor(self.strength))

    def gradient(self, q: Distribution, z: Tensor, f: Tensor, slope: Tensor) -> Tensor:
        """The estimate by the logits."""
        p = q.mean.detach()
        error = z - p

        def leave_one_out(h: Tensor) -> Tensor:
            return ((h - _others(h)).unsqueeze(-1) * error).mean(0)

        control = slope.mean(0) * p * (1.0 - p) - leave_one_out((_others(slope) * error).sum(-1))
        return leave_one_out(f) + self.learned_strength * control


@final
class RODEO(DoublyControlled):
    """The leave-one-out score function, controlled by a Stein operator applied to learned surrogates of f.

    mean_k (f_k - mean_{j != k} (f_j + (A h_j)(z_j))) (z_k - p) + (A h'_k (z - p))(z_k)                     [*B, D]

    (A h)(z) = sum_d P(bit d of q is not z_d) (h(z with bit d flipped) - h(z)) has mean zero under q, whatever h. Here
    h_k and h'_k are means over the samples j other than k of surrogates of f that are made from f's slope at z_j: with
    t = <slope_j, z - p> / s_j and s_j its standard deviation under q, each is s_j (c_0 + c_1 t + c_2 t^2), the c given
    by a network of t(z_j) and log s_j. Being quadratic, they are summed over all D neighbours of a sample in closed
    form, in memory that grows as K D + K^2 per datum, for any number of latents. The paper evaluates a network of
    f_j and <slope_j, z - z_j> at each neighbour.
    Unbiased, without noise on constants; factorised Bernoulli; f differentiable in z, near the corners. K evaluations
    of f and their slopes. Learns the network and the strengths of h and h' by the gradient of its squared gradient;
    strength 0 is LeaveOneOut.
    Shi, Zhou, Hwang, Titsias & Mackey (2022), arXiv 2202.09497, section 4.

    Args:
        num_samples: K, samples per datum, at least 2.
        hidden_sizes: widths of the network's hidden layers.
        strength: of both controls when training begins.

    Raises:
        ValueError: if `num_samples` is below 2.
    """

    def __init__(self, *, num_samples: int = 2, hidden_sizes: Sequence[int] = (100,), strength: float = 0.1) -> None:
        super().__init__(num_samples=num_samples)
        self.hidden_sizes = integers(f"hidden_sizes of {type(self).__name__}", hidden_sizes, least=1)
        self.strength = number(f"strength of {type(self).__name__}", strength)
        self.learned_strengths = nn.Parameter(torch.full((2,), self.strength))
        sizes = [2, *self.hidden_sizes]
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(sizes):
            layers += [nn.Linear(fan_in, fan_out), nn.LeakyReLU()]
        self.network = nn.Sequential(*layers, nn.Linear(sizes[-1], 6))

    def gradient(self, q: Distribution, z: Tensor, f: Tensor, slope: Tensor) -> Tensor:
        """The estimate by the logits.

        With w = P(bit of q is not that of z) a flip of bit d moves z_d - p_d by 1 - 2 z_d and t by that times a_d, the
        slope over s; since w (2 z - 1) = z - p, the sums over d need no neighbour. A t = -t, A t^2 = sum w a^2 - 2 t^2.
        """
        logits = latents.logits_of(q).detach()
        sign = 2.0 * z - 1.0
        leaves = (-sign * logits).sigmoid()
        error = sign * leaves
        # Only a scale, which may be any: where q is certain, `eps` keeps it from vanishing before the slope does.
        variance = logits.sigmoid() * (-logits).sigmoid()
        # The slope of log q itself is a logit: that of a bit which never flips would drown the others.
        slope = slope.masked_fill(variance < torch.finfo(z.dtype).tiny, 0.0)
        spread = variance + torch.finfo(z.dtype).eps
        scale = (slope.square() * spread).sum(-1).sqrt().clamp_min(torch.finfo(z.dtype).tiny)
        a = slope / scale.unsqueeze(-1)
        squared = a.square()
        t = _pairs(error, a).unsqueeze(-1)  # [K, K, *B, 1]: sample k, surrogate j
        stein_square = _pairs(leaves, squared).unsqueeze(-1) - 2.0 * t.square()
        features = torch.stack([(error * a).sum(-1), scale.log()], -1)
        coefficients = self.network(features).unflatten(-1, (3, 2)) * self.learned_strengths * scale[..., None, None]
        constant, linear, square = coefficients.to(f.dtype).unbind(-2)  # [K, *B, 2]: of h and of h'

        off_diagonal = 1.0 - torch.eye(len(z), dtype=z.dtype, device=z.device)
        others = (off_diagonal / (len(z) - 1)).reshape(*off_diagonal.shape, *(1,) * f.dim())
        stein = others * (square * stein_square - linear * t)
        value = others * (constant + linear * t + square * t.square())
        rise = others * (linear + 2.0 * square * t)

        credit = f - _others(f + stein[..., 0].sum(1))
        level = (stein - value)[..., 1].sum(1)
        curvature = _mixed((others * square)[..., 1], squared)
        beside = leaves * (_mixed(rise[..., 1], a) - sign * curvature)
        estimate: Tensor = ((credit + level).unsqueeze(-1) * error + beside).mean(0)
        return estimate


def _pairs(x: Tensor, y: Tensor) -> Tensor:
    # <x_k, y_j> of the last axis, `[K, K, *B]`.
    return (x.movedim(0, -2) @ y.movedim(0, -1)).movedim((-2, -1), (0, 1))


def _mixed(weight: Tensor, y: Tensor) -> Tensor:
    # sum_j weight_kj y_j, `[K, *B, D]`.
    return (weight.movedim((0, 1), (-2, -1)).contiguous() @ y.movedim(0, -2)).movedim(-2, 0)
