"""The estimators of a comparison: copies by their expressions, and the reasons why others are left out."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, final

from torch import nn

from reparam_suite.diagnostics import MeasuredModel, incompatibility, measuring
from reparam_suite.diagnostics.batches import part
from reparam_suite.estimators import Average, Bound, GradientEstimator
from reparam_suite.runtime.expressions import written


@final
@dataclass(frozen=True)
class Selection:
    """Estimators to measure on a model.

    Attributes:
        chosen: copies of those that fit, by expression; the model's own estimator is itself.
        left_out: the reason, which begins with the name of the estimator's class, by expression.
        own: the expression of the model's own estimator, if it is among them.
    """

    chosen: dict[str, GradientEstimator] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    own: str | None = None

    def learned_parts(self, expression: str) -> str:
        """The state of the estimator's parameters and buffers: "none", "trained" with the model, or "initial"."""
        estimator = self.chosen[expression]
        if not [*estimator.parameters(), *estimator.buffers()]:
            return "none"
        return "trained" if expression == self.own else "initial"


def selected(model: MeasuredModel, batch: Any, estimators: Iterable[GradientEstimator]) -> Selection:
    """The estimators that fit the model, and the others with the reason.

    Each is copied, so that lazy layers take their shapes from this model alone; the model's own estimator keeps what it
    has learned. An expression that comes again is numbered: `REBAR() 2`.

    Args:
        model: with an estimator of its own, whose number of samples is that of a multi-sample bound.
        batch: any: one datum of it is tried.
        estimators: as they were given.

    Raises:
        TypeError: if one of them is no GradientEstimator.
        ValueError: if there is none.
    """
    given: list[Any] = list(estimators)
    if not given:
        raise ValueError("estimators: expected at least one GradientEstimator, got an empty list")
    for position, estimator in enumerate(given):
        if not isinstance(estimator, GradientEstimator):
            shown = f"the class {estimator.__name__}" if isinstance(estimator, type) else type(estimator).__name__
            raise TypeError(f"estimators[{position}]: expected a GradientEstimator, got {shown}")
    num_samples = samples_of_bound(model, batch)
    chosen: dict[str, GradientEstimator] = {}
    left_out: dict[str, str] = {}
    own = None
    for estimator in given:
        name = _unused(written(estimator), {*chosen, *left_out})
        is_own = estimator is model.estimator and not _is_lazy(estimator)
        candidate = estimator if is_own else copy.deepcopy(estimator)
        if reason := refusal(model, batch, candidate, num_samples):
            left_out[name] = reason
        else:
            chosen[name] = candidate
            own = name if is_own else own
    return Selection(chosen, left_out, own)


def refusal(model: MeasuredModel, batch: Any, estimator: GradientEstimator, num_samples: int | None) -> str | None:
    """The reason why the estimator does not fit, which begins with its name; None if it fits.

    Args:
        model: to be measured.
        batch: one datum of it is tried.
        estimator: whose lazy layers get their shapes.
        num_samples: K of a multi-sample bound, None for another objective.
    """
    name = type(estimator).__name__
    try:
        reason = incompatibility(model, batch, estimator)
    except RuntimeError as error:
        if not list(estimator.parameters()):
            raise
        reason = f"its learned parts have the shapes of another model: {' '.join(str(error).split())}"
    if reason is None and num_samples is not None and estimator.num_samples != num_samples:
        reason = f"num_samples: expected {num_samples}, that of the model's bound, got {estimator.num_samples}"
    return reason if reason is None or reason.startswith(name) else f"{name}: {reason}"


def bound_of(model: MeasuredModel, batch: Any) -> Bound:
    """The bound of the model's expectation."""
    with measuring(model):
        return model.expectation(part(batch, slice(0, 1))).bound


def samples_of_bound(model: MeasuredModel, batch: Any) -> int | None:
    """K of the model's multi-sample bound, that of its own estimator; None for another objective."""
    return None if isinstance(bound_of(model, batch), Average) else model.estimator.num_samples


def _is_lazy(estimator: GradientEstimator) -> bool:
    return any(isinstance(parameter, nn.UninitializedParameter) for parameter in estimator.parameters())


def _unused(expression: str, taken: set[str]) -> str:
    number, name = 1, expression
    while name in taken:
        number += 1
        name = f"{expression} {number}"
    return name
