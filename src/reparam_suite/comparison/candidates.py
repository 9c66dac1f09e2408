"""Which estimators are measured on a model: those that were named, or every one that fits."""

import copy
import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

from jsonargparse import ArgumentParser

from reparam_suite.commands.expressions import ALL, Configuration, parse, written
from reparam_suite.comparison.library import MOST_EVALUATIONS, Listed, library
from reparam_suite.diagnostics import misfit
from reparam_suite.estimators import Average, GradientEstimator
from reparam_suite.models import VAE
from reparam_suite.commands.usage import UsageError, explained


@final
@dataclass(frozen=True)
class Candidates:
    """The estimators to measure, and those that were left out.

    Attributes:
        chosen: by name.
        own: the name of the checkpoint's own estimator, if it is among them; it has the state of the checkpoint.
        left_out: why, by name.
    """

    chosen: dict[str, GradientEstimator]
    own: str | None
    left_out: dict[str, str]

    def state_of(self, name: str) -> str:
        """What the estimator has learned: "none" if it learns nothing, "trained" with the checkpoint, or "initial"."""
        estimator = self.chosen[name]
        if not [*estimator.parameters(), *estimator.buffers()]:
            return "none"
        return "trained" if name == self.own else "initial"


def candidates(model: VAE, texts: Iterable[str], option: str = "--estimators") -> Candidates:
    """The estimators that the arguments of the option ask for.

    One that equals the model's own is the model's own, with what it has learned.

    Raises:
        UsageError: naming the option, if one is unknown or does not fit, or if there is none.
    """
    asked = parse(texts, option)
    own = written(model.estimator)
    found: dict[str, GradientEstimator] = {}
    left_out: dict[str, str] = {}
    for each in asked:
        if each == ALL:
            found[own] = model.estimator
            for name, estimator in (_attempt(model, listed) for listed in library()):
                reason = estimator if isinstance(estimator, str) else _reason_to_leave_out(model, estimator)
                if reason is not None:
                    left_out.setdefault(name, reason)
                elif isinstance(estimator, GradientEstimator):
                    found.setdefault(name, estimator)
        elif not isinstance(each, str):
            estimator = made(each, option)
            check_fit(model, estimator, option)
            found[written(estimator)] = estimator
    if own in found:
        found[own] = model.estimator
    left_out = {name: reason for name, reason in left_out.items() if name not in found}
    return Candidates(found, own if own in found else None, left_out)


def made(configuration: Configuration, option: str) -> GradientEstimator:
    """The estimator of a configuration.

    Raises:
        UsageError: naming the option, if there is no such class or argument.
    """
    key = option.removeprefix("--")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(GradientEstimator, key)
    try:
        with explained(parser, **{key: GradientEstimator}):
            estimator: GradientEstimator = parser.instantiate(parser.parse_object({key: configuration}))[key]
            written(estimator)
    except AttributeError as error:
        raise UsageError(f"{option}: an estimator keeps the arguments of its constructor: {error}") from error
    return estimator


def check_fit(model: VAE, estimator: GradientEstimator, option: str) -> None:
    """Refuses an estimator that was named and does not fit.

    Raises:
        UsageError: naming the estimator, the model's posterior and bound.
    """
    if reason := _misfit(model, estimator):
        raise UsageError(
            f"{option}: {written(estimator)} does not fit posterior {type(model.posterior).__name__}, "
            f"bound {type(model.bound).__name__}: {reason}"
        )


def pristine(model: VAE, estimator: GradientEstimator) -> GradientEstimator:
    """The estimator to try something on: a copy, since lazy layers take their shapes from the first use; or the own."""
    return estimator if estimator is model.estimator else copy.deepcopy(estimator)


def _misfit(model: VAE, estimator: GradientEstimator) -> str | None:
    K = model.estimator.num_samples
    if reason := misfit(model, pristine(model, estimator)):
        return reason
    if not isinstance(model.bound, Average) and estimator.num_samples != K:
        return f"the bound that was trained has {K} samples, and its own {estimator.num_samples}"
    return None


def _reason_to_leave_out(model: VAE, estimator: GradientEstimator) -> str | None:
    if reason := _misfit(model, estimator):
        return reason
    evaluations = estimator.evaluations(model.posterior_of(model.input_mean.unsqueeze(0)))
    if evaluations > MOST_EVALUATIONS:
        return (
            f"{evaluations:,} evaluations of f for each datum; all goes up to {MOST_EVALUATIONS}, name it to measure it"
        )
    return None


def _attempt(model: VAE, listed: Listed) -> tuple[str, GradientEstimator | str]:
    # By name; or why it cannot be had.
    cls, options = listed.estimator, {}
    several = not isinstance(model.bound, Average) and isinstance(model.bound, cls.bounds)
    if several and "num_samples" in inspect.signature(cls).parameters:
        options = {"num_samples": model.estimator.num_samples}
    try:
        estimator = listed.make(**options)
    except ValueError as reason:
        return cls.__name__, str(reason)
    return written(estimator), estimator
