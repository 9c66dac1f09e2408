"""Every number that a public constructor takes: of another type or out of range it is refused in one message.

The room of the estimators has a test of its own, tests/estimators/test_options.py: in all others its signatures are
enforced before a constructor runs.
"""

import importlib
import inspect
import math
import re
import typing
from collections.abc import Sequence
from pathlib import Path
from types import UnionType
from typing import Any

import numpy as np
import pytest
from optuna.distributions import IntDistribution
from rich.console import Console
from torch import nn

from reparam_suite import Run, Study, Sweep, compare_gradients
from reparam_suite.commands.file_runs import Budget
from reparam_suite.comparison.gradient_options import GradientOptions
from reparam_suite.data import (
    MNIST,
    Arrays,
    ArraysInMemory,
    BinarizedMNIST,
    Digits,
    FashionMNIST,
    ImageFolder,
    MappedArrays,
    Omniglot,
    Splits,
    StreamedArrays,
)
from reparam_suite.diagnostics import PathVariance
from reparam_suite.distributions import (
    Conditional,
    DiagonalNormal,
    DiscretizedLogistic,
    FiniteBernoulli,
    IndependentBernoulli,
    IndependentNormal,
)
from reparam_suite.estimators import Pathwise
from reparam_suite.models import GaussianVAE, LayeredPrior
from reparam_suite.running import Result
from reparam_suite.runtime.plain_data import constructor_arguments
from reparam_suite.studies import StudyResult
from reparam_suite.studies.limits import Limit
from reparam_suite.studies.settings import StudySettings
from reparam_suite.sweeps import Shard, SweepResult
from reparam_suite.training import (
    GradientRecord,
    Journal,
    PathRecord,
    ProgressBar,
    SampleRecord,
    StepRecord,
    Stopped,
)
from reparam_suite.workers import LocalEngine, LocalProcesses, Outcome

ROOMS = ["data", "distributions", "models", "networks", "objectives", "problems", "running", "studies", "sweeps"]
ROOMS += ["tracking", "training", "workers"]

OF_OTHER_FILES = [Budget, GradientOptions, Limit, PathVariance, StudySettings]
"""What a configuration file or an option has the suite make, and one of the diagnostics."""

MADE_BY_THE_SUITE = {Outcome, Result, Splits, Stopped, StudyResult, SweepResult}
"""Values that a user is given; and rows that a data set of a user's own has read."""

MADE_IN_EVERY_STEP = {DiscretizedLogistic, FiniteBernoulli, IndependentBernoulli, IndependentNormal}
"""Their numbers are those of a family, which has checked them."""


def make_run(seed: int, size: int = 1) -> Run:
    return Run(GaussianVAE, Digits())


ROWS = np.zeros((4, 3), np.float32)
JOURNAL = {"journal": Journal()}
OF_A_STUDY = {"make_run": make_run, "name": "s"}
REQUIRED: dict[type, dict[str, Any]] = {
    ArraysInMemory: {"train": ROWS, "valid": ROWS},
    MappedArrays: {"train": ROWS, "valid": ROWS},
    Conditional: {"network": nn.Identity(), "family": DiagonalNormal(2)},
    GradientOptions: {"checkpoint": "last.ckpt"},
    GradientRecord: {**JOURNAL, "record": None},
    ImageFolder: {"path": Path("images")},
    LayeredPrior: dict.fromkeys(("posterior", "likelihood", "prior", "context"), nn.Identity())
    | {"estimator": Pathwise()},
    LocalProcesses: {"serve": print},
    PathRecord: JOURNAL,
    PathVariance: {"parameters": [nn.Parameter(nn.Linear(1, 1).weight)]},
    ProgressBar: {**JOURNAL, "console": Console()},
    Run: {"model": GaussianVAE, "data": Digits},
    SampleRecord: {**JOURNAL, "record": None, "show": print},
    Shard: {"index": 3, "number": 3},
    StepRecord: {**JOURNAL, "checkpoints": None},
    StreamedArrays: {"train": Path("rows.npy")},
    Study: {**OF_A_STUDY, "space": {"size": IntDistribution(1, 2)}, "num_trials": 2},
    StudySettings: {"name": "s", "base": Path("base.yaml"), "space": {"size": {"int": [1, 2]}}},
    Sweep: {**OF_A_STUDY, "grid": {"size": [1, 2]}, "seeds": [0]},
}
NAMES = {(Shard, "index"): "shard", (Shard, "number"): "shard", (LocalEngine, "num_workers"): "workers"}
NAMES[LocalProcesses, "num_workers"] = "workers"
NAMES |= {(Limit, "at_least"): "constraints", (Limit, "at_most"): "constraints"}
"""What a message calls a number, where that is not its name."""

WRONG: dict[str, list[Any]] = {
    "count": ["3", 4.0, np.float32(3), True, math.nan, -3, {"a": 1}],
    "real": ["0.5", True, math.nan, [0.5], -0.5, {"a": 1}],
    "counts": ["34", [3.0], ["3"], [True], [-3], 3.5, {"a": 1}],
}
RIGHT: dict[str, Any] = {"count": np.int64(3), "real": np.float32(0.5), "counts": (np.int64(3), np.int64(4))}
SQUARES = {MNIST: 28, BinarizedMNIST: 28, FashionMNIST: 28, Omniglot: 28, Digits: 8}
FITTING = {(cls, "event_shape"): (np.int64(side), np.int64(side)) for cls, side in SQUARES.items()}
FITTING |= {(GradientOptions, "repeats"): np.int64(64)}
"""Values of the few that do not take every number in range."""

NEGATIVE = {(Limit, "at_least"), (Limit, "at_most")}
"""Numbers that may be negative."""


def kinds(annotation: Any) -> set[str]:
    """The kinds of numbers that a type admits."""
    if annotation in (int, float):
        return {"count" if annotation is int else "real"}
    members = typing.get_args(annotation)
    if typing.get_origin(annotation) in (typing.Union, UnionType):
        return set().union(*map(kinds, members))
    return (
        {"counts"} if inspect.isclass(origin := typing.get_origin(annotation)) and is_list(origin, members) else set()
    )


def is_list(origin: type, members: Sequence[Any]) -> bool:
    return issubclass(origin, typing.Iterable) and int in members and not issubclass(origin, typing.Mapping)


def public_classes() -> list[type]:
    """What the rooms export, without what cannot be made or reports an error."""
    rooms = [importlib.import_module(f"reparam_suite.{room}") for room in ROOMS]
    found = {member for room in rooms for name in room.__all__ if inspect.isclass(member := getattr(room, name))}
    left_out = MADE_BY_THE_SUITE | MADE_IN_EVERY_STEP
    made = {
        cls
        for cls in {*found, Run, Study, Sweep} - left_out
        if not (inspect.isabstract(cls) or issubclass(cls, BaseException) or getattr(cls, "_is_protocol", False))
    }
    return sorted({*made, *OF_OTHER_FILES}, key=lambda cls: cls.__name__)


NUMBERS = [
    (cls, name, found)
    for cls in public_classes()
    for name, parameter in constructor_arguments(cls).items()
    if (found := kinds(parameter.annotation))
]


def test_there_are_numbers_to_check():
    assert len(NUMBERS) > 90, NUMBERS


@pytest.mark.parametrize(("cls", "name", "found"), NUMBERS, ids=[f"{cls.__name__}.{name}" for cls, name, _ in NUMBERS])
def test_a_number_is_checked_by_type_and_range_and_those_of_numpy_are_taken(cls, name, found, real_file):
    given = {"path": real_file} if cls is Arrays else REQUIRED.get(cls, {})
    what = NAMES.get((cls, name), name)
    wrong = [value for kind in sorted(found) for value in WRONG[kind]]
    for value in wrong:
        if (cls, name) in NEGATIVE and value in (-3, -0.5):
            continue
        with pytest.raises((TypeError, ValueError)) as error:
            cls(**given | {name: value})
        told = str(error.value)
        assert re.match(rf"[^:]*\b{what}\b.*: expected [^:]+, got ", told), (value, told)
        assert "\n" not in told
    for kind in found:
        made = cls(**given | {name: FITTING.get((cls, name), RIGHT[kind])})
        kept = getattr(made, name, None)
        numbers = kept if isinstance(kept, tuple | list) else [kept]
        assert "numpy" not in {type(number).__module__ for number in numbers}


@pytest.mark.parametrize("name", ["num_repeats", "memory_budget"])
def test_the_numbers_of_a_comparison_are_checked(name):
    for value in WRONG["count"]:
        with pytest.raises((TypeError, ValueError), match=rf"^{name}: expected .*, got "):
            compare_gradients(None, None, [], **{name: value})
