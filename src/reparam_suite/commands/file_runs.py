"""Runs made from a configuration file and the values of options: the `make_run` of a study or a sweep in a file."""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from reparam_suite.commands.options import Options, set_threads
from reparam_suite.commands.written_options import Value, arguments
from reparam_suite.data import adapted
from reparam_suite.running import Run
from reparam_suite.runtime import checks
from reparam_suite.runtime.errors import UsageError
from reparam_suite.tracking import TrackingSettings

_LIMITS = ("trainer.max_steps", "trainer.max_epochs", "trainer.max_time")

# Seconds: some thirty years, which a timedelta holds.
_LONGEST = 1e9


@dataclass(frozen=True)  # not @final: jsonargparse takes no instance of a final class as a default
class Budget:
    """The length of a run: one of the three, or as many steps as the base run has.

    Args:
        steps: of the optimizer.
        evaluations: of f, per datum of each minibatch: an estimator that takes four per step gets a quarter of the
            steps of one that takes one.
        seconds: of training by the clock, with its validations and measurements: a cheap step is made more often. The
            number of steps then differs between runs.

    Raises:
        ValueError: if several are given, or one is below 1, or seconds are not positive.
    """

    steps: int | None = None
    evaluations: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if len(given := [name for name, value in vars(self).items() if value is not None]) > 1:
            raise ValueError(f"budget: expected one of {', '.join(vars(self))}, got {' and '.join(given)}")
        for name in ("steps", "evaluations"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, checks.integer(f"budget.{name}", value, least=1))
        if self.seconds is not None:
            object.__setattr__(self, "seconds", checks.number("budget.seconds", self.seconds, above=0.0, most=_LONGEST))

    def check(self, options: Iterable[str]) -> None:
        """Refuses options of a grid or a space that the budget decides.

        Raises:
            UsageError: naming the option.
        """
        decided = ("trainer.max_steps",) if self.steps is not None else _LIMITS
        if self != Budget() and (both := [option for option in options if option in decided]):
            raise UsageError(f"--{both[0]} comes from --budget and cannot vary")

    @property
    def recorded(self) -> dict[str, float | None]:
        """The fields by name; seconds are left out where they are None, so that older records compare equal."""
        return {name: value for name, value in vars(self).items() if name != "seconds" or value is not None}


@final
@dataclass(frozen=True)
class RunsOfFile:
    """Makes runs from a configuration file and the values of options.

    Args:
        base: configuration file of a run.
        common: dotted options of all runs, over those of the file.
        budget: of a run, over what file and common options say of its length.
        tracking: where the runs are recorded.
    """

    base: Path
    common: Mapping[str, Value]
    budget: Budget
    tracking: TrackingSettings

    def __call__(self, *, seed: int, **options: Value) -> Run:
        """The run with the values of `options`.

        Raises:
            UsageError: if the options do not exist or do not fit together.
        """
        parsed = Options.of(self.arguments(options, seed))
        set_threads(parsed.values)
        run = dataclasses.replace(parsed.run(seed=seed), progress=False, tracking=self.tracking)
        if self.budget.seconds is not None:
            limits = {**run.trainer, "max_time": {"seconds": self.budget.seconds}}
            return dataclasses.replace(run, max_steps=None, max_epochs=None, trainer=limits)
        if self.budget.evaluations is not None:
            return dataclasses.replace(run, max_steps=num_steps(run, self.budget.evaluations), max_epochs=None)
        return run

    def arguments(self, options: Mapping[str, Value], seed: int) -> list[str]:
        """The command line of a run, save where it is recorded; a class comes before its own options."""
        steps = {} if self.budget.steps is None else {"trainer.max_steps": self.budget.steps}
        given = dict(sorted({**self.common, **steps, **options}.items(), key=lambda pair: pair[0].count(".")))
        return [f"--config={self.base}", *arguments({**given, "seed": seed})]


def num_steps(run: Run, evaluations: int) -> int:
    """The number of steps of a run that cost `evaluations` of f per datum of each minibatch; at least one."""
    assert callable(run.model)
    assert callable(run.data)
    model: Any = run.model()
    data = adapted(run.data())
    batch = data.sample_batch("valid" if data.has("valid") else "train")
    per_step: int = model.estimator.evaluations(model.expectation(batch).q)
    return max(1, math.floor(evaluations / per_step))
