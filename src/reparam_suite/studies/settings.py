"""What a study searches, and how: the contents of a study file."""

import inspect
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

import optuna

from reparam_suite.commands.command_line import Command
from reparam_suite.studies.space import Dimension, Options, arguments, choosable, definition, parsed
from reparam_suite.commands.usage import UsageError, either

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True)  # not @final: jsonargparse takes no instance of a final class as a default
class Budget:
    """What a run of a trial may spend: one of the two, or as many steps as the base run has.

    Args:
        steps: of the optimizer.
        evaluations: of f, for a datum of each minibatch: an estimator that takes four a step gets a quarter of the
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
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"budget.{name}: expected 1 or more, got {value}")


@dataclass(frozen=True)
class Limit:
    """What a metric has to keep to, in its own unit.

    Args:
        at_most: the highest value that is feasible.
        at_least: the lowest one.

    Raises:
        ValueError: if neither is given, one is not finite, or no value keeps to both.
    """

    at_most: float | None = None
    at_least: float | None = None

    def __post_init__(self) -> None:
        ends = [end for end in (self.at_least, self.at_most) if end is not None]
        if not ends or not all(map(math.isfinite, ends)) or ends != sorted(ends):
            raise ValueError(
                f"constraints: expected at_most, at_least or both, finite and in order, got at_least "
                f"{self.at_least}, at_most {self.at_most}"
            )

    def violations(self, value: float) -> dict[str, float]:
        """By how much a value is beyond each end; zero or less where it is not, as Optuna has it."""
        beyond = {}
        if self.at_most is not None:
            beyond["at_most"] = value - self.at_most
        if self.at_least is not None:
            beyond["at_least"] = self.at_least - value
        return beyond


@dataclass(frozen=True)
class OptunaClass:
    """A class of Optuna and what it is given.

    Args:
        name: of the class.
        options: of its constructor.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)

    def check(self, what: str, module: Any, base: type) -> None:
        """Refuses a class that `module` has not, and options that the class has not.

        Raises:
            UsageError: naming those that there are.
        """
        known = {name: each for name, each in vars(module).items() if inspect.isclass(each) and issubclass(each, base)}
        for name in (base.__name__, *_STOP_STUDIES):
            known.pop(name, None)
        if self.name not in known:
            raise UsageError(f"--{what}.name: expected {either(sorted(known))}, got {self.name}")
        accepted = [name for name in inspect.signature(known[self.name]).parameters if name != "self"]
        if unknown := sorted(set(self.options) - set(accepted)):
            raise UsageError(f"--{what}.options: {self.name} takes {', '.join(accepted)}; got {', '.join(unknown)}")
        try:
            known[self.name](**self.options)
        except (ValueError, TypeError, ImportError) as error:
            raise UsageError(f"--{what}: {' '.join(str(error).split())}") from error


@final
@dataclass(frozen=True)
class StudySettings:
    """What is searched, and by what it is judged.

    Args:
        name: of the study, and of the MLflow experiment that has its trials.
        base: configuration file of a run; a relative path counts from the study file.
        options: of all trials, dotted, over those of the file.
        space: what is searched: option -> {float: [low, high]}, log_float, int, log_int, or categorical: [choices]; in
            place of the list a mapping gives every choice a space of its own.
        objectives: metric of a run -> maximize or minimize; the last value of the metric counts.
        constraints: metric of a run -> at_most, at_least; a trial that does not keep to them is never the best one.
        trials: that the study ends with.
        budget: of a run.
        seeds: a trial makes one run for each; the means of the metrics count.
        sampler: of optuna.samplers. A seed in its options is another one in every worker, and when a study goes on.
        pruner: of optuna.pruners. Looks at the first metric, at each validation of the first seed's run.

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
        if self.trials < 1:
            raise ValueError(f"--trials: expected 1 or more, got {self.trials}")
        for name in ("space", "objectives", "seeds"):
            if not getattr(self, name):
                raise ValueError(f"--{name}: expected at least one, got none")

    @property
    def dimensions(self) -> tuple[Dimension, ...]:
        """The parsed space."""
        return parsed(self.space)

    def make_sampler(self, worker: int, num_begun: int) -> "BaseSampler":
        """The sampler of one worker, which starts when so many trials have begun.

        With the same seed all workers would propose the same, and a command that goes on what it has proposed before.
        """
        options = dict(self.sampler.options)
        if options.get("seed") is not None:
            options["seed"] += worker + _MOST_WORKERS * num_begun
        sampler: BaseSampler = getattr(optuna.samplers, self.sampler.name)(**options)
        return sampler

    def make_pruner(self) -> "BasePruner":
        """The pruner; every worker makes the same."""
        pruner: BasePruner = getattr(optuna.pruners, self.pruner.name)(**self.pruner.options)
        return pruner

    def arguments(self, chosen: Options, seed: int) -> list[str]:
        """The command line of a run, save where it is recorded."""
        budget = {} if self.budget.steps is None else {"trainer.max_steps": self.budget.steps}
        common = {option: choosable(value) for option, value in self.options.items()}
        return [f"--config={self.base}", *arguments({**common, **budget, **chosen, "seed": seed})]

    def definition(self) -> dict[str, Any]:
        """What makes the trials of two studies comparable; the number of trials, sampler and pruner do not."""
        limits = {metric: vars(limit) for metric, limit in self.constraints.items()}
        plain: dict[str, Any] = json.loads(
            json.dumps(
                {
                    "base": self.base.read_text(encoding="utf-8"),
                    "options": self.options,
                    "space": definition(self.dimensions),
                    "objectives": list(self.objectives.items()),  # in their order
                    "budget": vars(self.budget),
                    "seeds": self.seeds,
                    **({"constraints": limits} if limits else {}),  # which studies of earlier versions have not
                }
            )
        )
        return plain


# More than a study has on all machines, with those that take the places of others.
_MOST_WORKERS = 10_000

# Samplers that go through a list and end the study themselves, which Optuna allows in its own loop only.
_STOP_STUDIES = ("GridSampler", "BruteForceSampler")


def steps_of(command: Command, evaluations: int) -> int:
    """How many steps of a run cost `evaluations` of f for a datum of each minibatch; at least one."""
    model = command.model
    per_step = model.estimator.evaluations(model.posterior_of(command.datamodule.sample_batch("valid")))
    return max(1, math.floor(evaluations / per_step))
