"""The contract: an expectation goes in, its value and its gradient come out.

Shapes: K samples, `*B` any batch shape, D latents, C classes. z is `[K, *B, D]` or `[K, *B, D, C]`, f is `[K, *B]`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from reparam_suite.distributions import can_be_rebuilt, frozen, translated, widened, with_parameters
from reparam_suite.estimators.bounds import Average, Bound
from reparam_suite.estimators.shapes import PerDatum, Samples, Scalar, Values
from reparam_suite.runtime.checks import integer
from reparam_suite.runtime.errors import ArgumentTypeError, ArgumentValueError

Integrand = Callable[[Tensor, Distribution], Tensor]
"""f(z `[K, *B, *event]`, q) -> `[K, *B]`, in nats; q may enter only through a constant multiple of `q.log_prob(z)`."""


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """The number E_{z_1..z_K ~ q}[bound(f(z_1, q), .., f(z_K, q))] whose gradient is wanted.

    Args:
        q: the distribution of z, batch_shape `[*B]`.
        f: the integrand, parameters theta and all.
        bound: what becomes of the K values.
        context: `[*B, .]`, all that a learned baseline may look at: one axis, however many x has.
        exact: `[*B]`, a term known in closed form, such as minus an analytic KL: added to the objective, never sampled.

    Raises:
        ArgumentTypeError: if `exact` is no tensor.
        ArgumentValueError: if `exact` is of another shape than the batch_shape of q.
    """

    q: Distribution
    f: Integrand
    bound: Bound = Average()  # noqa: RUF009  (stateless)
    context: Tensor | None = None
    exact: PerDatum | None = None

    def __post_init__(self) -> None:
        """Refuses a closed-form term that would broadcast."""
        exact, batch = self.exact, self.q.batch_shape
        if exact is None or (isinstance(exact, Tensor) and exact.shape == batch):
            return
        expected = f"exact: expected shape [*batch_shape] = {list(batch)}, got"
        if isinstance(exact, Tensor):
            raise ArgumentValueError(f"{expected} {list(exact.shape)}")
        raise ArgumentTypeError(f"{expected} {type(exact).__name__}")

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
    """Zero in value; in gradient `loss` with respect to `parameters`, and nothing for what else it depends on."""
    reached = [parameter for parameter in parameters if parameter.requires_grad]
    if not reached or not loss.requires_grad:
        return torch.zeros_like(loss)
    gradients = torch.autograd.grad(loss, reached, retain_graph=True, allow_unused=True)
    terms = [
        (carry(parameter) * gradient.detach()).sum()
        for parameter, gradient in zip(reached, gradients, strict=True)
        if gradient is not None
    ]
    return torch.stack(terms).sum() if terms else torch.zeros_like(loss)


def slopes(values: Tensor, z: Tensor, *, create_graph: bool = False, retain_graph: bool | None = None) -> Tensor:
    """The derivative of each value with respect to its own z, shaped as z; 0 where the value does not depend on z."""
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
    """The same target in float32: autocast is off except inside f, whose values are widened.

    What multiplies the score is a difference of values of f, and the eight bits of a bfloat16 keep little of it.
    A q of a family of the suite is widened as well.
    """
    dtype = torch.get_autocast_dtype(device)

    def f(z: Samples, q: Distribution) -> Values:
        # Without a cache: weights that were first rounded under no_grad would have no gradient later.
        with torch.autocast(device, dtype=dtype, cache_enabled=False):
            return widened(target.f(z, q))

    context = None if target.context is None else widened(target.context)
    q = with_parameters(target.q, widened) if can_be_rebuilt(target.q) else target.q
    return replace(target, q=q, f=f, context=context)


def _autocast_device() -> str | None:
    # Asked of PyTorch and not of q: a flow has no parameters that would show its device.
    return next((device for device in ("cuda", "cpu", "mps") if torch.is_autocast_enabled(device)), None)


class GradientEstimator(nn.Module, ABC):
    """An estimator of the value of an `Expectation` and of its gradient with respect to phi and theta.

    To write one, give the class attributes, `unbiased`, `estimate` and, where the mathematics does not allow every q,
    `fits`. Every index of `*B` is treated independently of the others (state such as a moving average apart). Under
    autocast f alone is rounded: noise, log-probabilities, signals and the objective are float32.

    Attributes:
        bounds: the bounds that it supports.
        admits_exact: whether the expectation may have a term in closed form.
        relaxed: whether the value is that of a relaxed model instead of the bound.
        differentiates_f: whether f must be differentiable in z.
        unbiased: whether the expected gradient is exact.
        noiseless: whether it draws nothing: every call gives its expected gradient.
        num_samples: hard draws from q that enter the value; an antithetic pair counts two.
    """

    bounds: ClassVar[tuple[type[Bound], ...]]
    admits_exact: ClassVar[bool] = True
    relaxed: ClassVar[bool] = False
    noiseless: ClassVar[bool] = False
    differentiates_f: ClassVar[bool]
    num_samples: int

    def __init__(self, *, num_samples: int = 1, fewest_samples: int = 1) -> None:
        super().__init__()
        self.num_samples = integer(f"num_samples of {type(self).__name__}", num_samples, least=fewest_samples)

    @property
    @abstractmethod
    def unbiased(self) -> bool:
        """Whether the expected gradient is exact; of the instance, since a baseline may decide it."""

    def fits(self, q: Distribution) -> str | None:  # noqa: ARG002
        """None, or the reason why the mathematics of this estimator does not allow q: by default every q is allowed."""
        return None

    def evaluations(self, q: Distribution) -> int:  # noqa: ARG002
        """Rows of z handed to f per datum and step: the cost on which estimators are compared."""
        return self.num_samples

    @final  # type: ignore[misc]  # nn.Module declares forward as an attribute
    def forward(self, target: Expectation) -> Estimate:
        """The value of `target` and its gradient.

        Raises:
            ValueError: if q, the bound or a closed-form term does not fit this estimator, or f gives values of another
                shape than `[K, *batch_shape]`.
        """
        target = self._prepared(target)
        self.check(target)
        device = _autocast_device()
        if device is not None:
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
        if not target.q.event_shape:
            raise ValueError(
                f"{name}: q has batch_shape {list(target.q.batch_shape)} and no event axes: "
                "wrap it in torch.distributions.Independent(q, 1)"
            )
        reason = self.fits(translated(target.q))
        if reason is not None:
            raise ValueError(f"{name}: {reason}")
        if not isinstance(target.bound, self.bounds):
            raise ValueError(f"{name}: expected the bound {names(self.bounds)}, got {type(target.bound).__name__}")
        if target.exact is None:
            return
        for part, admits in ((name, self.admits_exact), (type(target.bound).__name__, target.bound.admits_exact)):
            if not admits:
                raise ValueError(f"{part}: expected all of log q inside f, a sampled KL, got an analytic one")

    def _prepared(self, target: Expectation) -> Expectation:
        # PyTorch's bits and one-hot latents made ours; values of f of another shape refused: they would broadcast.
        f = partial(_checked, target.f, type(self).__name__, target.q.batch_shape)
        return Expectation(q=translated(target.q), f=f, bound=target.bound, context=target.context, exact=target.exact)


def _checked(f: Integrand, name: str, batch: torch.Size, z: Any, q: Distribution) -> Any:
    values = f(z, q)
    if values.shape != (len(z), *batch):
        raise ValueError(
            f"{name}: f of {len(z)} samples z {list(z.shape)}: expected values [K, *batch_shape] = "
            f"{[len(z), *batch]}, got {list(values.shape)}"
        )
    return values


def names(classes: Iterable[type]) -> str:
    """The names of classes, as alternatives."""
    return " or ".join(cls.__name__ for cls in classes)
