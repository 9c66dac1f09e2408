"""Help on the classes that options name: a table of a kind, a page of one class."""

import inspect
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, final

from lightning.pytorch import LightningDataModule

import reparam_suite.data  # noqa: F401 - its classes are subclasses once they are imported
from reparam_suite.commands.classes import concrete_subclasses
from reparam_suite.distributions.likelihoods import LikelihoodFamily
from reparam_suite.distributions.posteriors import LatentFamily
from reparam_suite.estimators import Baseline, Bound, GradientEstimator
from reparam_suite.models import DiscreteVAE, GaussianVAE, Schedule
from reparam_suite.objectives import Objective
from reparam_suite.tracking import LoggerOfRun


@final
@dataclass(frozen=True)
class Kind:
    """A kind of classes.

    Args:
        option: that takes one.
        classes: those of the suite.
    """

    option: str
    classes: Callable[[], Iterable[type[Any]]]


KINDS: Mapping[str, Kind] = {
    "estimators": Kind("--estimator", lambda: concrete_subclasses(GradientEstimator)),
    "baselines": Kind("--estimator.baseline", lambda: concrete_subclasses(Baseline)),
    "models": Kind("--model", lambda: (GaussianVAE, DiscreteVAE)),
    "data": Kind("--data", lambda: concrete_subclasses(LightningDataModule)),
    "objectives": Kind("--model.objective", lambda: concrete_subclasses(Objective)),
    "bounds": Kind("--model.objective.bound", lambda: concrete_subclasses(Bound)),
    "posteriors": Kind("--model.posterior", lambda: concrete_subclasses(LatentFamily)),
    "likelihoods": Kind("--model.likelihood", lambda: concrete_subclasses(LikelihoodFamily)),
    "schedules": Kind("--model.optimizer.schedule", lambda: concrete_subclasses(Schedule)),
    "loggers": Kind("--loggers", lambda: concrete_subclasses(LoggerOfRun)),
}
"""Kinds of classes, by the word for several of them."""


def class_table(kind: str, *, width: int) -> str:
    """The classes of a kind, one a line: name, whether its gradient is biased, the first sentence of its docstring."""
    classes = sorted(KINDS[kind].classes(), key=lambda cls: cls.__name__)
    margin = max(len(cls.__name__) for cls in classes) + 4
    lines = [f"{kind} ({KINDS[kind].option}):"]
    for cls in classes:
        biased = "biased; " if getattr(cls, "unbiased", True) is False else ""
        line = f"  {cls.__name__}".ljust(margin) + biased + _summary(cls)
        lines.append(line if len(line) <= width else line[: width - 3].rstrip(" ,;:.") + "...")
    return "\n".join([*lines, ""])


def class_named(name: str) -> type[Any] | None:
    """The class of the suite of this name; None if no option takes one."""
    for kind in KINDS.values():
        for cls in kind.classes():
            if cls.__name__ == name:
                return cls
    return None


def class_page(cls: type[Any], *, width: int) -> str:
    """A class: the option that chooses it, its arguments with their defaults, its docstring."""
    option = next(kind.option for kind in KINDS.values() if cls in kind.classes())
    lines = [f"{option} {cls.__name__}"]
    for parameter in inspect.signature(cls).parameters.values():
        default = "" if parameter.default is parameter.empty else f" {_shown(parameter.default)}"
        lines += textwrap.wrap(f"{option}.{parameter.name}{default}", width, initial_indent="  ")
    return "\n".join([*lines, "", inspect.getdoc(cls) or "", ""])


def _summary(cls: type[Any]) -> str:
    return (inspect.getdoc(cls) or "").split("\n\n")[0].replace("\n", " ")


def _shown(default: object) -> str:
    if hasattr(default, "lazy_get_init_args"):
        return next(cls.__name__ for cls in type(default).__mro__ if not hasattr(cls, "lazy_get_init_args"))
    return repr(default)
