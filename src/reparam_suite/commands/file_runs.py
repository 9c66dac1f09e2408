"""Runs made from a configuration file and the values of options: the `make_run` of a study or a sweep in a file."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from reparam_suite.commands.options import Options, set_threads
from reparam_suite.commands.written_options import Value, arguments
from reparam_suite.data import adapted
from reparam_suite.running import Run
from reparam_suite.runtime import checks
from reparam_suite.tracking import TrackingSettings


@dataclass(frozen=True)  # not @final: jsonargparse takes no instance of a final class as a default
class Budget:
    """The length of a run: one of the two, or as many steps as the base run has.

    Args:
        steps: of the optimizer.
        evaluations: of f, per datum of each minibatch: an estimator that takes four per step gets a quarter of the
            steps of one that takes one.

    Raises:
        ValueError: if both are given, or one is below 1.
    """

    steps: int | None = None
    evaluations: int | None = None

    def __post_init__(self) -> None:
        if self.steps is not None and self.evaluations is not None:
            raise ValueError("budget: expected steps or evaluations, got both")
        for name in ("steps", "evaluations"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, checks.integer(f"budget.{name}", value, least=1))


@final
@dataclass(frozen=True)
class RunsOfFile:
    """Makes runs from a configuration file and the values of options.

    Args:
        base: configuration file of a run.
        common: dotted options of all runs, over those of the file.
        evaluations: of f that a run spends per datum of each minibatch; None: as many steps as the options say.
        tracking: where the runs are recorded.
    """

    base: Path
    common: Mapping[str, Value]
    evaluations: int | None
    tracking: TrackingSettings

    def __call__(self, *, seed: int, **options: Value) -> Run:
        """The run with the values of `options`.

        Raises:
            UsageError: if the options do not exist or do not fit together.
        """
        parsed = Options.of(self.arguments(options, seed))
        set_threads(parsed.values)
        run = dataclasses.replace(parsed.run(seed=seed), progress=False, tracking=self.tracking)
        if self.evaluations is None:
            return run
        return dataclasses.replace(run, max_steps=num_steps(run, self.evaluations), max_epochs=None)

    def arguments(self, options: Mapping[str, Value], seed: int) -> list[str]:
        """The command line of a run, save where it is recorded; a class comes before its own options."""
        given = dict(sorted({**self.common, **options}.items(), key=lambda pair: pair[0].count(".")))
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
