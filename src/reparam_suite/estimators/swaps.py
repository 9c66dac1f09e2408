"""Samples with the noise of two classes swapped: ARSM."""

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Distribution

from reparam_suite.estimators import latents
from reparam_suite.estimators.base import (
    Estimate,
    Expectation,
    GradientEstimator,
    carry,
    uniform,
)
from reparam_suite.estimators.bounds import Average
from reparam_suite.runtime.checks import integer


@final
class ARSM(GradientEstimator):
    """Augment-REINFORCE-swap-merge: the noise of two classes is swapped in every latent at once, for all pairs of them.

    sum_j (f(z^(c<->j)) - 1/C sum_m f(z^(m<->j))) (1/C - w_j)                        [*B, D, C]
    z^(c<->j) = argmin_i (log w_i - logits_i) once w_c and w_j are swapped, w uniform on the simplex

    Unbiased; factorised categorical; f may be a black box. K (1 + C (C - 1) / 2) evaluations of f, the swapped ones
    without a gradient and in chunks; with C = 2 this is ARM.
    Yin, Yue & Zhou (2019), arXiv 1905.01413.

    Args:
        num_samples: K, unswapped samples per datum: the value is their mean.
        chunk_size: how many swaps are evaluated at once.

    Raises:
        ValueError: if `num_samples` or `chunk_size` is below 1.
    """

    bounds = (Average,)
    differentiates_f = False
    unbiased = True

    def __init__(self, *, num_samples: int = 1, chunk_size: int = 32) -> None:
        super().__init__(num_samples=num_samples)
        self.chunk_size = integer(f"chunk_size of {type(self).__name__}", chunk_size, least=1)

    def fits(self, q: Distribution) -> str | None:
        """D independent one-hot latents."""
        return latents.one_hot(q)

    def evaluations(self, q: Distribution) -> int:
        """K samples, and each of them with every pair of classes swapped."""
        num_classes = q.event_shape[-1]
        return self.num_samples * (1 + num_classes * (num_classes - 1) // 2)

    def draw(self, q: Distribution) -> Tensor:
        """The logarithms of points uniform on the simplex, `[K, *B, D, C]`."""
        logits = latents.logits_of(q)
        return (-uniform((self.num_samples, *logits.shape), logits).log()).log().log_softmax(-1)

    def estimate(self, target: Expectation) -> Estimate:
        """The mean over the unswapped samples, carrying the merged gradient."""
        logits = latents.logits_of(target.q)
        num_classes = logits.shape[-1]
        with torch.no_grad():
            log_w = self.draw(target.q)
            z = _race(log_w, logits)
        f = target.values(z)
        with torch.no_grad():
            first, second = torch.triu_indices(num_classes, num_classes, offset=1, device=z.device)
            swapped = torch.arange(num_classes, device=z.device).repeat(len(first), 1)
            swapped.scatter_(1, first.unsqueeze(-1), second.unsqueeze(-1))
            swapped.scatter_(1, second.unsqueeze(-1), first.unsqueeze(-1))
            parts = [
                target.values(_race(log_w[..., chunk].movedim(-2, 0), logits).flatten(0, 1))
                for chunk in swapped.split(self.chunk_size)
            ]
            f_swapped = torch.cat(parts).unflatten(0, (len(first), self.num_samples)).movedim(0, -1)
            table = f.detach()[..., None, None].expand(*f.shape, num_classes, num_classes).clone()
            table[..., first, second] = f_swapped
            table[..., second, first] = f_swapped
            merged = table - table.mean(-2, keepdim=True)  # [K, *B, C of c, C of j]
            gradient = ((1.0 / num_classes - log_w.exp()).to(f.dtype) @ merged.mT).mean(0)
        objective = target.bound.value(f) + carry((gradient * logits).sum((-2, -1)))
        return Estimate(objective=objective, control_loss=objective.new_zeros(()))


def _race(log_w: Tensor, logits: Tensor) -> Tensor:
    # The exponential race: one-hot at the smallest w / exp(logits), which is a draw from q.
    return F.one_hot((log_w - logits).argmin(-1), logits.shape[-1]).to(logits.dtype)
