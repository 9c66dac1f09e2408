"""Baselines: what is subtracted from f before it multiplies the score.

A baseline of z_k must not depend on z_k; then it moves the variance of the score function and not its mean.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from reparam_suite.distributions import parameters, score
from reparam_suite.estimators.base import Expectation, carry
from reparam_suite.estimators.bounds import Average, Bound, LogMeanExp
from reparam_suite.estimators.shapes import Samples, Scalar, Values
from reparam_suite.runtime.checks import integers, number


class Baseline(nn.Module, ABC):
    """How the K values of f become the K factors of grad log q(z_k).

    Attributes:
        unbiased: whether the gradient stays exact in the mean.
        bounds: the bounds that it is defined for.
        fewest_samples: the smallest K that it can work with.
    """

    unbiased: bool = True
    bounds: tuple[type[Bound], ...] = (Average, LogMeanExp)
    fewest_samples: int = 1

    def fits(self, q: Distribution) -> str | None:  # noqa: ARG002
        """None, or the reason why it cannot be used with q: by default it can be used with every q."""
        return None

    @abstractmethod
    def forward(self, z: Samples, f: Values, target: Expectation) -> tuple[Values, Scalar]:
        """The credit of each sample, and the loss that trains the baseline (value zero); z and f carry no gradient."""


@final
class NoBaseline(Baseline):
    """Nothing is subtracted: REINFORCE, Williams (1992)."""

    def forward(self, z: Samples, f: Values, target: Expectation) -> tuple[Values, Scalar]:  # noqa: ARG002
        """The bare values."""
        zero = f.new_zeros(())
        return target.bound.credit(f, zero), zero


class _RunningMean(nn.Module):
    # The exponential moving average of the numbers that it was given in training mode, its start corrected: 0 before
    # the first. A call gives the mean of the past and adds to it after, so that no sample meets its own value. The
    # buffers are replaced, never written to: torch.compile may find the mean again in the backward pass, from buffers
    # that by then would hold the sample.
    average: Tensor
    weight: Tensor

    def __init__(self, owner: nn.Module, decay: float, size: Sequence[int] = ()) -> None:
        super().__init__()
        self.decay = number(f"decay of {type(owner).__name__}", decay, least=0.0, below=1.0)
        self.register_buffer("average", torch.zeros(size))
        self.register_buffer("weight", torch.zeros(()))

    def forward(self, current: Tensor) -> Tensor:
        past = self.average / self.weight.clamp_min(torch.finfo(self.weight.dtype).tiny)
        if self.training:
            with torch.no_grad():
                self.average = torch.lerp(current.to(self.average), self.average, self.decay)
                self.weight = torch.lerp(torch.ones_like(self.weight), self.weight, self.decay)
        return past.to(current.dtype)


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

    def __init__(self, *, decay: float = 0.99) -> None:
        super().__init__()
        self.past = _RunningMean(self, decay)
        self.decay = self.past.decay

    def forward(self, z: Samples, f: Values, target: Expectation) -> tuple[Values, Scalar]:  # noqa: ARG002
        """The values above the average of the past."""
        return target.bound.credit(f, self.past(target.bound.value(f).mean())), f.new_zeros(())


@final
class OptimalConstant(Baseline):
    """The constant that makes the score function's variance least, from moments of the past.

    E[f(z) |s|^2] / E[|s|^2],  s = grad log q(z) with respect to the parameters of q

    Both moments are moving averages, shared by all data and updated after use, in training mode only. On LogMeanExp
    the best constant is another one: it depends on how log q stands in f.
    Weaver & Tao (2001); Greensmith, Bartlett & Baxter (2004), theorem 13.

    Args:
        decay: the share of the old moments that a step keeps, in [0, 1).

    Raises:
        ValueError: if `decay` is outside [0, 1).
    """

    bounds = (Average,)

    def __init__(self, *, decay: float = 0.99) -> None:
        super().__init__()
        self.past = _RunningMean(self, decay, size=(2,))
        self.decay = self.past.decay

    def fits(self, q: Distribution) -> str | None:
        """Any q that names its parameters, each `[*B, ...]`."""
        batch = q.batch_shape
        own = parameters(q).values()
        if own and all(value.shape[: len(batch)] == batch for value in own):
            return None
        expected = f"baseline {type(self).__name__}: expected a q with parameters [*batch_shape, ...]"
        return f"{expected}, got {type(q).__name__}"

    def forward(self, z: Samples, f: Values, target: Expectation) -> tuple[Values, Scalar]:
        """The values above the constant."""
        weight = _squared_score(target.q, z)
        weighted, total = self.past(torch.stack([(f * weight).mean(), weight.mean()])).unbind()
        constant = weighted / total.clamp_min(torch.finfo(total.dtype).tiny)
        return target.bound.credit(f, constant), f.new_zeros(())


def _squared_score(q: Distribution, z: Samples) -> Values:
    # |grad log q(z_k)|^2 for each sample.
    batch_dims = z.dim() - len(q.event_shape)
    squares = [value.square() for value in score(q, z).values()]
    return torch.stack([square.reshape(*square.shape[:batch_dims], -1).sum(-1) for square in squares]).sum(0)


@final
class Learned(Baseline):
    """A network that predicts the objective of a datum from the datum: the input-dependent baseline of NVIL.

    minimise (bound(f) - b(context))^2
    Mnih & Gregor (2014), arXiv 1402.0030, section 2.3.1; its variance normalisation is VarianceNormalized.

    Args:
        hidden_sizes: widths of the hidden layers.
    """

    def __init__(self, *, hidden_sizes: Sequence[int] = (100,)) -> None:
        super().__init__()
        self.hidden_sizes = integers(f"hidden_sizes of {type(self).__name__}", hidden_sizes, least=1)
        layers: list[nn.Module] = []
        for size in self.hidden_sizes:
            layers += [nn.LazyLinear(size), nn.Tanh()]
        self.network = nn.Sequential(*layers, nn.LazyLinear(1))

    def forward(self, z: Samples, f: Values, target: Expectation) -> tuple[Values, Scalar]:  # noqa: ARG002
        """The values above the network's prediction, and the network's squared error.

        Raises:
            ValueError: if the expectation has no context to predict from.
        """
        if target.context is None:
            raise ValueError("Learned: expected an Expectation with a context to predict from, got none")
        predicted = self.network(target.context.detach()).squeeze(-1)
        loss = (target.bound.value(f) - predicted).square().mean()
        # The network is all that the loss depends on.
        return target.bound.credit(f, predicted.detach()), carry(loss)


@final
class LeaveOneOut(Baseline):
    """The other samples of the same datum: RLOO on Average, VIMCO on LogMeanExp.

    Kool, van Hoof & Welling (2019); Mnih & Rezende (2016), arXiv 1602.06725, eqs. 8 and 10. K at least 2.
    """

    fewest_samples = 2

    def forward(self, z: Samples, f: Values, target: Expectation) -> tuple[Values, Scalar]:  # noqa: ARG002
        """The values above what the other samples say."""
        return target.bound.leave_one_out(f), f.new_zeros(())


@final
class OVIS(Baseline):
    """The control variate that is optimal for the importance-weighted bound as K grows.

    log mean_l w_l - log(1/K sum_{l != k} w_l) = softplus(f_k - log sum_{l != k} exp f_l)

    With the direct term of log q inside f the score of z_k is left with -log(1 - v_k) - v_k, of second order in its
    normalised weight v_k: the gradient's signal-to-noise ratio grows with K. Unbiased; K at least 2.
    Lievin et al. (2020), arXiv 2008.01998, eq. 17 at gamma = 0. At gamma > 0 that equation subtracts gamma v_k, which
    depends on z_k, and is biased. Not the sampled form of eq. 12, which spends further evaluations.
    """

    bounds = (LogMeanExp,)
    fewest_samples = 2

    def forward(self, z: Samples, f: Values, target: Expectation) -> tuple[Values, Scalar]:  # noqa: ARG002
        """The bound above what the other samples leave of it."""
        num_samples = len(f)
        own = torch.eye(num_samples, dtype=torch.bool, device=f.device)
        own = own.reshape(num_samples, num_samples, *(1,) * (f.dim() - 1))
        others = f.unsqueeze(1).masked_fill(own, -torch.inf).logsumexp(0)  # [K of the sum, K left out, *B]
        return nn.functional.softplus(f - others), f.new_zeros(())


@final
class VarianceNormalized(Baseline):
    """Another baseline, its signal divided by max(1, standard deviation of the past signals).

    (f(z_k) - b_k) / max(1, sd)

    Biased: the gradient is rescaled, by one number for all data, and so is its share in the loss beside theta's. The
    moments are updated after use, in training mode only.
    Mnih & Gregor (2014), arXiv 1402.0030, section 2.3.2.

    Args:
        baseline: what makes the signal; MovingAverage if none is given.
        decay: the share of the old moments that a step keeps, in [0, 1).

    Raises:
        ValueError: if `decay` is outside [0, 1).
    """

    unbiased = False

    def __init__(self, *, baseline: Baseline | None = None, decay: float = 0.99) -> None:
        super().__init__()
        self.baseline = MovingAverage() if baseline is None else baseline
        self.bounds = self.baseline.bounds
        self.fewest_samples = self.baseline.fewest_samples
        self.past = _RunningMean(self, decay, size=(2,))
        self.decay = self.past.decay

    def fits(self, q: Distribution) -> str | None:
        """As the baseline within."""
        return self.baseline.fits(q)

    def forward(self, z: Samples, f: Values, target: Expectation) -> tuple[Values, Scalar]:
        """The rescaled signal, and the loss of the baseline within."""
        credit, control_loss = self.baseline(z, f, target)
        # A signal of 1 is credited 1/K on Average and 1 on LogMeanExp.
        signal = credit / target.bound.credit(torch.zeros_like(f), f.new_full((), -1.0))
        mean, square = self.past(torch.stack([signal.mean(), signal.square().mean()])).unbind()
        return credit / (square - mean.square()).clamp_min(1.0).sqrt(), control_loss
