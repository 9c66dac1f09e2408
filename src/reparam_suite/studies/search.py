"""The definition of a study that every worker is sent: how trials become runs, and what they are judged by."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

from reparam_suite.running import Run
from reparam_suite.runtime.checks import LARGEST_SEED
from reparam_suite.studies.limits import Limit
from reparam_suite.studies.space import Options, Space
from reparam_suite.tracking import TrackingSettings
from reparam_suite.workers.making import MakeRun, made_run

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

Direction = Literal["maximize", "minimize"]

_BEST = "_best"
_TEST = "test/"


@final
@dataclass(frozen=True)
class Search:
    """A study, as its workers see it.

    Args:
        name: of the study.
        make_run: makes the run of a trial.
        space: that is searched.
        objectives: metric of a run -> maximize or minimize; its last value counts.
        num_trials: that the study ends with.
        sampler: of Optuna.
        pruner: of Optuna; None: no trial is pruned.
        definition: of what makes the trials of two studies comparable, in plain types.
        constraints: metric of a run -> the values that it may have.
        seed: trial k trains with `seed + k`, and its values are drawn with a seed made from both; None: they are not
            seeded.
        seeds: a trial makes one run for each, in the place of the one of its own; the means of the metrics count.
        tracking: where a trial is recorded that failed before its run was.
    """

    name: str
    make_run: MakeRun
    space: Space
    objectives: Mapping[str, Direction]
    num_trials: int
    sampler: "BaseSampler"
    pruner: "BasePruner | None"
    definition: Mapping[str, Any]
    constraints: Mapping[str, Limit] = field(default_factory=dict)
    seed: int | None = None
    seeds: tuple[int, ...] | None = None
    tracking: TrackingSettings | None = None

    def seeds_of(self, trial: int) -> tuple[int, ...]:
        """The seeds of the runs of a trial."""
        return self.seeds if self.seeds is not None else (((self.seed or 0) + trial) % (LARGEST_SEED + 1),)

    def run(self, values: Options, seed: int, *, name: str, tags: Mapping[str, str]) -> Run:
        """A run of a trial, made from copies of the values.

        Raises:
            TypeError: if `make_run` returns something else.
        """
        run = made_run(self.make_run, values, seed)
        return dataclasses.replace(run, name=run.name or name, tags={**run.tags, **tags})

    @property
    def tests(self) -> bool:
        """Whether a run has to be tested for what it is judged by."""
        return any(metric.startswith(_TEST) for metric in (*self.objectives, *self.constraints))

    @property
    def reported(self) -> str | None:
        """The metric that the pruner sees at each validation; None if the objective has no value before the end."""
        return running_metric(next(iter(self.objectives)))


def running_metric(objective: str) -> str | None:
    """The metric whose value along training an objective is made of; None for one that is measured at the end."""
    return None if objective.startswith(_TEST) else objective.removesuffix(_BEST)


@final
@dataclass(frozen=True)
class StudyStorage:
    """The database of a study.

    Args:
        url: of SQLAlchemy: sqlite, PostgreSQL or MySQL.
        root: directory that has the lock under which the tables are made.
        heartbeat: seconds between two signs of life of a trial; after six without one it counts as dead and is
            trained again.
    """

    url: str
    root: Path
    heartbeat: int = 10
