"""Baselines: what is subtracted from f before it multiplies the score.

A baseline of z_k must not depend on z_k; then it moves the variance of the score function and not its mean.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from reparam_suite.estimators.base import Expectation, only_through
from reparam_suite.estimators.bounds import Average, Bound, LogMeanExp
from reparam_suite.estimators.shapes import Scalar, Values


class Baseline(nn.Module, ABC):
    """How the K values of f become the K factors of grad log q(z_k).

    Attributes:
        unbiased: whether the gradient stays exact in the mean.
        bounds: the bounds that it is defined for.
        fewest_samples: the smallest K that it can work with.
    """

    unbiased: ClassVar[bool] = True
    bounds: ClassVar[tuple[type[Bound], ...]] = (Average, LogMeanExp)
    fewest_samples: ClassVar[int] = 1

    @abstractmethod
    def forward(self, f: Values, target: Expectation) -> tuple[Values, Scalar]:
        """The credit of each sample, and the loss that trains the baseline (value zero); `f` carries no gradient."""


@final
class NoBaseline(Baseline):
    """Nothing is subtracted: REINFORCE, Williams (1992)."""

    def forward(self, f: Values, target: Expectation) -> tuple[Values, Scalar]:
        """The bare values."""
        zero = f.new_zeros(())
        return target.bound.credit(f, zero), zero


@final
class MovingAverage(Baseline):
    """The exponential moving average of past objectives, its start corrected: 0 before the first step.

    It is updated after it was subtracted, so that no sample meets its own value. All data share it, and it moves in
    training mode only.

    Args:
        decay: the share of the old average that a step keeps, in [0, 1).

    Raises:
        ValueError: if `decay` is outside [0, 1).
    """

    average: Tensor
    weight: Tensor

    def __init__(self, *, decay: float = 0.99) -> None:
        super().__init__()
        if not 0.0 <= decay < 1.0:
            raise ValueError(f"decay of MovingAverage must lie in [0, 1), got {decay}")
        self.decay = decay
        self.register_buffer("average", torch.zeros(()))
        self.register_buffer("weight", torch.zeros(()))

    def forward(self, f: Values, target: Expectation) -> tuple[Values, Scalar]:
        """The values above the average of the past."""
        past = self.average / self.weight.clamp_min(torch.finfo(self.weight.dtype).tiny)
        credit = target.bound.credit(f, past.to(f.dtype))
        if self.training:
            with torch.no_grad():
                self.average.lerp_(target.bound.value(f).mean().to(self.average.dtype), 1.0 - self.decay)
                self.weight.lerp_(torch.ones_like(self.weight), 1.0 - self.decay)
        return credit, f.new_zeros(())


@final
class Learned(Baseline):
    """A network that predicts the objective of a datum from the datum: the input-dependent baseline of NVIL.

    minimise (bound(f) - b(context))^2
    Mnih & Gregor (2014), arXiv 1402.0030, section 2.3.1; not with its variance normalisation, which rescales the
    gradient.

    Args:
        hidden_sizes: widths of the hidden layers.
    """

    def __init__(self, *, hidden_sizes: Sequence[int] = (100,)) -> None:
        super().__init__()
        self.hidden_sizes = list(hidden_sizes)
        layers: list[nn.Module] = []
        for size in self.hidden_sizes:
            layers += [nn.LazyLinear(size), nn.Tanh()]
        self.network = nn.Sequential(*layers, nn.LazyLinear(1))

    def forward(self, f: Values, target: Expectation) -> tuple[Values, Scalar]:
        """The values above the network's prediction, and the network's squared error.

        Raises:
            ValueError: if the expectation has no context to predict from.
        """
        if target.context is None:
            raise ValueError("the Learned baseline predicts from the context of an Expectation, got none")
        predicted = self.network(target.context.detach()).squeeze(-1)
        loss = (target.bound.value(f) - predicted).square().mean()
        return target.bound.credit(f, predicted.detach()), only_through(loss, self.network.parameters())


@final
class LeaveOneOut(Baseline):
    """The other samples of the same datum: RLOO on Average, VIMCO on LogMeanExp.

    Kool, van Hoof & Welling (2019); Mnih & Rezende (2016), arXiv 1602.06725, eqs. 8 and 10. K at least 2.
    """

    fewest_samples = 2

    def forward(self, f: Values, target: Expectation) -> tuple[Values, Scalar]:
        """The values above what the other samples say."""
        return target.bound.leave_one_out(f), f.new_zeros(())
