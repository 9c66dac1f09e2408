"""The contract: an expectation goes in, its value and its gradient come out.

Shapes: K samples, `*B` any batch shape, D latents, C classes. z is `[K, *B, D]` or `[K, *B, D, C]`, f is `[K, *B]`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from reparam_suite.estimators.bounds import Average, Bound
from reparam_suite.estimators.shapes import PerDatum, Samples, Scalar, Values
from reparam_suite.distributions import family, frozen, parameters, widened, with_parameters

Integrand = Callable[[Tensor, Distribution], Tensor]
"""f(z `[K, *B, D]`, q) -> `[K, *B]`, in nats; q may enter only through a constant multiple of `q.log_prob(z)`."""


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """The number E_{z_1..z_K ~ q}[bound(f(z_1, q), .., f(z_K, q))] whose gradient is wanted.

    Args:
        q: the distribution of z, batch_shape `[*B]`.
        f: the integrand, parameters theta and all.
        bound: what becomes of the K values.
        context: `[*B, .]`, all that a learned baseline may look at.
        exact: `[*B]`, a term known in closed form (minus an analytic KL, say): added to the objective, never sampled.
    """

    q: Distribution
    f: Integrand
    bound: Bound = Average()  # noqa: RUF009  (stateless)
    context: Tensor | None = None
    exact: PerDatum | None = None

    def values(self, z: Samples) -> Values:
        """The f of given samples, at the frozen q where the explicit score has mean zero.

        Dropping that term leaves the gradient unbiased and takes its noise away.
        """
        return self.f(z, frozen(self.q) if self.bound.score_vanishes else self.q)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A value and a gradient in one tensor.

    Args:
        objective: `[*B]`; its value is the bound, its gradient is the gradient estimate for phi and theta.
        control_loss: `[]`; its value is zero, its gradient reaches the estimator's own parameters and nothing else.
    """

    objective: PerDatum
    control_loss: Scalar


def carry(t: Tensor) -> Tensor:
    """Zero in value, `t` in gradient."""
    return t - t.detach()


def only_through(loss: Scalar, parameters: Iterable[Tensor]) -> Scalar:
    """Zero in value; its gradient is that of `loss` by `parameters`, and nothing for what else `loss` depends on."""
    reached = [each for each in parameters if each.requires_grad]
    if not reached or not loss.requires_grad:
        return torch.zeros_like(loss)
    gradients = torch.autograd.grad(loss, reached, retain_graph=True, allow_unused=True)
    terms = [
        (carry(each) * gradient.detach()).sum()
        for each, gradient in zip(reached, gradients, strict=True)
        if gradient is not None
    ]
    return torch.stack(terms).sum() if terms else torch.zeros_like(loss)


def slopes(values: Tensor, z: Tensor, *, create_graph: bool = False, retain_graph: bool | None = None) -> Tensor:
    """The derivative of each value by its own z, shaped as z; 0 where the value does not look at z."""
    if not values.requires_grad:
        return torch.zeros_like(z)
    (slope,) = torch.autograd.grad(
        values.sum(), z, create_graph=create_graph, retain_graph=retain_graph, materialize_grads=True
    )
    return slope


def uniform(shape: Iterable[int], like: Tensor) -> Tensor:
    """Uniform noise, never 0 and never 1, in float32 or wider, on the device of `like`."""
    dtype = torch.promote_types(like.dtype, torch.float32)
    return inside(torch.rand(tuple(shape), dtype=dtype, device=like.device))


def inside(u: Tensor) -> Tensor:
    """Numbers of [0, 1] kept away from 0 and 1."""
    epsilon = torch.finfo(u.dtype).eps
    return u.clamp(min=epsilon / 4, max=1.0 - epsilon / 2)


def autocast_in_f_alone(target: Expectation, device: str) -> Expectation:
    """The same target in float32: autocast, which is to be left, goes on inside f, whose values are widened.

    What multiplies the score is a difference of values of f, and little of it is left in the eight bits of a bfloat16.
    """
    dtype = torch.get_autocast_dtype(device)

    def f(z: Samples, q: Distribution) -> Values:
        # Without a cache: weights that were first rounded under no_grad would have no gradient later.
        with torch.autocast(device, dtype=dtype, cache_enabled=False):
            return widened(target.f(z, q))

    context = None if target.context is None else widened(target.context)
    return replace(target, q=with_parameters(target.q, widened), f=f, context=context)


class GradientEstimator(nn.Module, ABC):
    """An estimator of the value of an `Expectation` and of its gradient by phi and theta.

    Every index of `*B` is treated independently of the others (state such as a moving average apart). Under autocast f
    alone is rounded: noise, log-probabilities, signals and the objective are float32.

    Attributes:
        families: the classes of q that it is defined for.
        bounds: the bounds that it supports.
        admits_exact: whether the expectation may have a term in closed form.
        relaxed: whether the value is that of a relaxed model instead of the bound.
        differentiates_f: whether f must be differentiable in z.
        unbiased: whether the expected gradient is exact.
        num_samples: hard draws from q that enter the value; an antithetic pair counts two.
    """

    families: ClassVar[tuple[type[Distribution], ...]]
    bounds: ClassVar[tuple[type[Bound], ...]]
    admits_exact: ClassVar[bool] = True
    relaxed: ClassVar[bool] = False
    differentiates_f: ClassVar[bool]
    num_samples: int

    def __init__(self, *, num_samples: int = 1, fewest_samples: int = 1) -> None:
        super().__init__()
        require_at_least(self, "num_samples", num_samples, fewest_samples)
        self.num_samples = num_samples

    @property
    @abstractmethod
    def unbiased(self) -> bool:
        """Whether the expected gradient is exact; of the instance, since a baseline may decide it."""

    def evaluations(self, q: Distribution) -> int:  # noqa: ARG002
        """Rows of z handed to f per datum and step: the cost on which estimators are compared."""
        return self.num_samples

    def forward(self, target: Expectation) -> Estimate:
        """The value of `target` and its gradient.

        Raises:
            ValueError: if q, the bound or a closed-form term does not fit this estimator.
        """
        self.check(target)
        device = next(iter(parameters(target.q).values())).device.type
        if torch.is_autocast_enabled(device):
            target = autocast_in_f_alone(target, device)
            with torch.autocast(device, enabled=False):
                estimate = self.estimate(target)
        else:
            estimate = self.estimate(target)
        if target.exact is None:
            return estimate
        return Estimate(objective=estimate.objective + target.exact, control_loss=estimate.control_loss)

    @abstractmethod
    def estimate(self, target: Expectation) -> Estimate:
        """The same without the closed-form term, for a target that fits."""

    def check(self, target: Expectation) -> None:
        """Refuses, by name, a target that this estimator is not defined for.

        Raises:
            ValueError: naming this estimator, what was given and what is accepted.
        """
        name = type(self).__name__
        if not issubclass(family(target.q), self.families):
            raise ValueError(f"{name} needs q of {_names(self.families)}, got {family(target.q).__name__}")
        if not isinstance(target.bound, self.bounds):
            raise ValueError(f"{name} supports the bound {_names(self.bounds)}, got {type(target.bound).__name__}")
        if target.exact is not None and not self.admits_exact:
            raise ValueError(f"{name} needs all of log q inside f: a sampled KL, got an analytic one")
        if target.exact is not None and not target.bound.admits_exact:
            raise ValueError(
                f"{type(target.bound).__name__} needs all of log q inside f: a sampled KL, got an analytic one"
            )


def require_at_least(module: nn.Module, option: str, value: int, least: int) -> None:
    """Refuses too small an option of a constructor.

    Raises:
        ValueError: naming the class, the option, what was given and what is accepted.
    """
    if value < least:
        raise ValueError(f"{option} of {type(module).__name__} must be at least {least}, got {value}")


def _names(classes: Iterable[type]) -> str:
    return " or ".join(each.__name__ for each in classes)
