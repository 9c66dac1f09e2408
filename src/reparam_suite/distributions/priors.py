"""Priors: modules whose forward returns p(z), batch_shape `[]`."""

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from reparam_suite.distributions.families import bernoulli, categorical, normal, standard_normal
from reparam_suite.runtime.checks import checked_shape


class StandardNormal(nn.Module):
    """N(0, I).

    Args:
        event_shape: of one z, `(D,)`.
    """

    zeros: Tensor

    def __init__(self, event_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.event_shape = checked_shape("event_shape", event_shape)
        self.register_buffer("zeros", torch.zeros(self.event_shape), persistent=False)

    def forward(self) -> Distribution:
        """p(z)."""
        return standard_normal(self.zeros)


class NormalPrior(nn.Module):
    """A factorised normal, learned from N(0, I) on.

    Args:
        event_shape: of one z, `(D,)`.
    """

    def __init__(self, event_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.event_shape = checked_shape("event_shape", event_shape)
        self.loc = nn.Parameter(torch.zeros(self.event_shape))
        self.log_scale = nn.Parameter(torch.zeros(self.event_shape))

    def forward(self) -> Distribution:
        """p(z)."""
        return normal(self.loc, self.log_scale.exp())


class _LogitPrior(nn.Module):
    # Logits of zero, learned from there or fixed.
    def __init__(self, event_shape: tuple[int, ...], *, learned: bool = False) -> None:
        super().__init__()
        self.event_shape = checked_shape("event_shape", event_shape)
        self.learned = learned
        self.logits = nn.Parameter(torch.zeros(self.event_shape), requires_grad=learned)


class BernoulliPrior(_LogitPrior):
    """Independent bits, fair or learned from there on.

    Args:
        event_shape: of one z, `(D,)`.
        learned: whether the logits are trained.
    """

    def forward(self) -> Distribution:
        """p(z)."""
        return bernoulli(self.logits)


class CategoricalPrior(_LogitPrior):
    """Independent one-hot categoricals, uniform or learned from there on.

    Args:
        event_shape: of one z, `(D, C)`.
        learned: whether the logits are trained.
    """

    def forward(self) -> Distribution:
        """p(z)."""
        return categorical(self.logits)
