"""The contents of a study file: what is searched, and by what it is judged."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import optuna
import yaml

from reparam_suite.commands.file_runs import Budget, RunsOfFile
from reparam_suite.commands.written_options import choosable
from reparam_suite.runtime import checks, strict_yaml
from reparam_suite.runtime.errors import UsageError
from reparam_suite.studies.exhaustive import as_sampler
from reparam_suite.studies.limits import Limit
from reparam_suite.studies.optuna_classes import OptunaClass
from reparam_suite.studies.search import Direction, Search
from reparam_suite.studies.space import OptionSpace, parsed
from reparam_suite.tracking import LONGEST_NAME, TrackingSettings


@final
@dataclass(frozen=True)
class StudySettings:
    """The search space of a study, and what its trials are judged by.

    Args:
        name: of the study, and of the MLflow experiment that has its trials.
        base: configuration file of a run; a relative path counts from the study file.
        options: of all trials, dotted, over those of the file.
        space: what is searched: option -> {float: [low, high]}, log_float, int, log_int, or categorical: [choices]; in
            place of the list a mapping gives every choice a space of its own.
        objectives: metric of a run -> maximize or minimize; the last value of the metric counts.
        constraints: metric of a run -> at_most, at_least; a trial that violates one is never the best.
        trials: that the study ends with.
        budget: of a run.
        seeds: a trial makes one run for each; the means of the metrics count.
        sampler: of optuna.samplers. With a seed in its options the values of a trial depend on that and its number.
        pruner: of optuna.pruners. It sees the first metric at each validation of the first seed's run.

    Raises:
        ValueError: if a value is out of range.
    """

    name: str
    base: Path
    space: dict[str, Any]
    options: dict[str, Any] = field(default_factory=dict)
    objectives: dict[str, Direction] = field(default_factory=lambda: {"val/elbo": "maximize"})
    constraints: dict[str, Limit] = field(default_factory=dict)
    trials: int = 20
    budget: Budget = field(default_factory=Budget)
    seeds: tuple[int, ...] = (0,)
    sampler: OptunaClass = field(default_factory=lambda: OptunaClass("TPESampler"))
    pruner: OptunaClass = field(default_factory=lambda: OptunaClass("NopPruner"))

    def __post_init__(self) -> None:
        checks.name("--name", self.name, most=LONGEST_NAME)
        object.__setattr__(self, "seeds", tuple(checks.seeds("--seeds", self.seeds)))
        checks.distinct("--seeds", self.seeds)
        object.__setattr__(self, "trials", checks.integer("--trials", self.trials, least=1))
        for name in ("space", "objectives", "seeds"):
            if not getattr(self, name):
                raise ValueError(f"--{name}: expected at least one, got none")

    @property
    def parsed_space(self) -> OptionSpace:
        """The space."""
        return parsed(self.space)

    @property
    def prunes(self) -> bool:
        """Whether trials are pruned."""
        return self.pruner.name != "NopPruner"

    def runs(self, tracking: TrackingSettings) -> RunsOfFile:
        """The function that makes a trial's run from the values of options."""
        common = {option: choosable(value) for option, value in self.options.items()}
        return RunsOfFile(self.base, common, self.budget, tracking)

    def search(self, tracking: TrackingSettings) -> Search:
        """The study for its workers.

        Args:
            tracking: where its runs are recorded.
        """
        return Search(
            name=self.name,
            make_run=self.runs(tracking),
            space=self.parsed_space,
            objectives=self.objectives,
            num_trials=self.trials,
            sampler=as_sampler(self.sampler.made(optuna.samplers), self.parsed_space, self.trials),
            pruner=self.pruner.made(optuna.pruners) if self.prunes else None,
            definition=self.definition(),
            constraints=self.constraints,
            seed=self.sampler.options.get("seed"),
            seeds=tuple(self.seeds),
            tracking=tracking,
        )

    def _content_of_base(self) -> Any:
        try:
            return strict_yaml.read(self.base)
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise UsageError(f"--base: {self.base} cannot be read: {' '.join(str(error).split())}") from error

    def definition(self) -> dict[str, Any]:
        """The settings that make trials comparable; the number of trials, sampler and pruner do not."""
        limits = {metric: vars(limit) for metric, limit in self.constraints.items()}
        plain: dict[str, Any] = json.loads(
            json.dumps(
                {
                    "base": self._content_of_base(),
                    "options": self.options,
                    "space": self.parsed_space.definition(),
                    "objectives": list(self.objectives.items()),  # in their order
                    "constraints": limits,
                    "budget": self.budget.recorded,
                    "seeds": self.seeds,
                }
            )
        )
        return plain
