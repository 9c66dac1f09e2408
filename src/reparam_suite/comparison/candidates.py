"""The estimators that the command line names: single ones, or every one of the suite that fits."""

import copy
import inspect
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, final

from jsonargparse import ArgumentParser

from reparam_suite.commands.explanations import explained
from reparam_suite.commands.expressions import ALL, Configuration, parse
from reparam_suite.comparison.library import MOST_EVALUATIONS, Listed, library
from reparam_suite.comparison.selection import bound_of, refusal, samples_of_bound
from reparam_suite.diagnostics import measuring
from reparam_suite.diagnostics.batches import part
from reparam_suite.estimators import GradientEstimator
from reparam_suite.runtime.errors import UsageError
from reparam_suite.runtime.expressions import written


@final
@dataclass(frozen=True)
class Candidates:
    """The estimators to measure, and those of the suite that were left out.

    Attributes:
        chosen: by expression; one that equals the model's own is the model's own, with what it has learned.
        left_out: the reason, by expression, or by class where none can be made.
    """

    chosen: dict[str, GradientEstimator] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def candidates(model: Any, batch: Any, texts: Iterable[str], option: str = "--estimators") -> Candidates:
    """The estimators that the values of the option name.

    Args:
        model: to be measured.
        batch: any: one datum of it is tried.
        texts: expressions, files or "all".
        option: as the user types it.

    Raises:
        UsageError: naming the option, if one is unknown or does not fit, or if there is none.
    """
    found = Candidates()
    own = written(model.estimator)
    for asked in parse(texts, option):
        if asked == ALL:
            _add_all(found, model, batch)
        elif not isinstance(asked, str):
            estimator = made(asked, option)
            check_fits(model, batch, estimator, option)
            found.chosen[written(estimator)] = estimator
    if own in found.chosen:
        found.chosen[own] = model.estimator
    return Candidates(found.chosen, {name: why for name, why in found.left_out.items() if name not in found.chosen})


def made(configuration: Configuration, option: str) -> GradientEstimator:
    """The estimator of a configuration.

    Raises:
        UsageError: naming the option, if there is no such class or argument.
    """
    key = option.removeprefix("--")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(GradientEstimator, key)
    with explained(parser, **{key: GradientEstimator}):
        estimator: GradientEstimator = parser.instantiate(parser.parse_object({key: configuration}))[key]
    return estimator


def check_fits(model: Any, batch: Any, estimator: GradientEstimator, option: str) -> None:
    """Refuses an estimator that was named and does not fit.

    Raises:
        UsageError: naming the option, the estimator and the model.
    """
    if reason := _refusal(model, batch, estimator):
        raise UsageError(f"{option}: {written(estimator)} does not fit the {type(model).__name__}: {reason}")


def _add_all(found: Candidates, model: Any, batch: Any) -> None:
    found.chosen[written(model.estimator)] = model.estimator
    bound, num_samples = bound_of(model, batch), samples_of_bound(model, batch)
    for listed in library():
        several = num_samples is not None and isinstance(bound, listed.estimator.bounds)
        try:
            estimator = listed.make(**({"num_samples": num_samples} if several and _takes_samples(listed) else {}))
        except ValueError as error:
            found.left_out.setdefault(listed.estimator.__name__, str(error))
            continue
        name = written(estimator)
        reason = _refusal(model, batch, estimator) or _too_dear(model, batch, estimator)
        if reason:
            found.left_out.setdefault(name, reason)
        else:
            found.chosen.setdefault(name, estimator)


def _takes_samples(listed: Listed) -> bool:
    return "num_samples" in inspect.signature(listed.estimator).parameters


def _refusal(model: Any, batch: Any, estimator: GradientEstimator) -> str | None:
    # On a copy: lazy layers take their shapes from their first use.
    return refusal(model, batch, copy.deepcopy(estimator), samples_of_bound(model, batch))


def _too_dear(model: Any, batch: Any, estimator: GradientEstimator) -> str | None:
    with measuring(model):
        evaluations = estimator.evaluations(model.expectation(part(batch, slice(0, 1))).q)
    if evaluations <= MOST_EVALUATIONS:
        return None
    return f"{evaluations:,} evaluations of f per datum; all includes at most {MOST_EVALUATIONS}; name it to measure it"
