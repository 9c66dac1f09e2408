"""Straight-through at logits moved apart instead of at noisy ones."""

from typing import final

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution

from reparam_suite.distributions import family
from reparam_suite.estimators import latents
from reparam_suite.estimators.base import (
    carry,
)
from reparam_suite.estimators.relaxation import Relaxation, hardened, softened
from reparam_suite.estimators.temperature import Temperature, checked_temperature, current
from reparam_suite.runtime.checks import number


@final
class GappedStraightThrough(Relaxation):
    """Straight-through at logits moved so that the hard sample leads by a gap: what Gumbel noise does, without noise.

    df/dz d softmax(m / temperature) / d m,  m_z = max phi,  m_c = min(phi_c, max phi - gap) elsewhere      [*B]

    phi's gradient is biased, the value and theta's gradient are not. f differentiable in z, near the corners.
    K evaluations of f.
    Fan, Chi, Rudnicky & Ramadge (2022), arXiv 2206.07235.

    Args:
        num_samples: K, samples per datum.
        temperature: of the backward pass, above 0, or a schedule.
        gap: by how much the logit of the sample leads the next, 0 or more.

    Raises:
        ValueError: if `num_samples` is below 1, `temperature` is not positive or `gap` is negative.
    """

    def __init__(self, *, num_samples: int = 1, temperature: Temperature = 0.5, gap: float = 1.0) -> None:
        super().__init__(num_samples=num_samples)
        self.temperature = checked_temperature(self, "temperature", temperature)
        self.gap = number(f"gap of {type(self).__name__}", gap, least=0.0)

    def sample(self, q: Distribution) -> Tensor:
        """The hard sample, carrying the gradient of the softmax at the moved logits; the move is a constant."""
        logits = latents.logits_of(q)
        with torch.no_grad():
            hard = hardened(q, logits + self.draw(q))
            if family(q) is Bernoulli:
                sign = 2.0 * hard - 1.0
                moved = sign * (sign * logits).clamp_min(self.gap)
            else:
                top = logits.amax(-1, keepdim=True)
                below = torch.minimum(logits, top - self.gap)
                moved = below + hard * (top - below)
        return hard + carry(softened(q, moved + carry(logits), current(self.temperature)))
