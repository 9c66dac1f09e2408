"""A study file, read and checked: everything that can be refused is refused here, and nothing is created."""

import inspect
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

import optuna
from jsonargparse import ArgumentParser, Namespace

from reparam_suite.command_line import Command, option_values
from reparam_suite.studies.space import Dimension, Options, arguments, choosable, corners, definition, parsed
from reparam_suite.tracking import TrackingSettings
from reparam_suite.usage import UsageError, either, explained, options_of

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

Direction = Literal["maximize", "minimize"]
EngineName = Literal["local", "ray"]

USAGE = "python -m reparam_suite.study --config FILE [options]"
DESCRIPTION = """Searches the options of a run: trials on one shared study, by workers here and on other machines. The
same command goes on with a study that was stopped."""


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


@final
@dataclass(frozen=True)
class StudyCommand:
    """A command line that was parsed and checked.

    Attributes:
        settings: of the study.
        workers: how many.
        engine: where they run: processes on this machine, or tasks of Ray.
        cpus_per_worker: CPUs that Ray reserves for each.
        gpus_per_worker: GPUs that Ray reserves for each; a part of one shares it.
        storage: URL of the database; None for optuna.db below the root of tracking.
        heartbeat: seconds between two signs of life of a trial; after six without one it is begun again.
        tracking: where runs are recorded, in the experiment of the study.
    """

    settings: StudySettings
    workers: int
    engine: EngineName
    cpus_per_worker: float
    gpus_per_worker: float
    storage: str | None
    heartbeat: int
    tracking: TrackingSettings

    @property
    def storage_url(self) -> str:
        """The database of the study."""
        if self.storage is None:
            return f"sqlite:///{self.tracking.root}/optuna.db"
        scheme, separator, rest = self.storage.partition("://")
        return f"postgresql+psycopg{separator}{rest}" if scheme == "postgresql" else self.storage


def parser() -> ArgumentParser:
    """The options of the command."""
    made = ArgumentParser(prog="study", usage=USAGE, description=DESCRIPTION, exit_on_error=False, allow_abbrev=False)
    made.add_argument("--config", action="config", help="a study file; options after it change single things of it")
    made.add_class_arguments(StudySettings, None)
    made.add_argument("--workers", type=int, default=1, help="how many; one CPU thread each")
    made.add_argument(
        "--engine", type=EngineName, default="local", help="where they run: processes on this machine, or tasks of Ray"
    )
    made.add_argument("--cpus-per-worker", type=float, default=None, help="that Ray reserves; 1 by default")
    made.add_argument(
        "--gpus-per-worker",
        type=float,
        default=None,
        help="that Ray reserves; none by default, 0.25 for four to share one",
    )
    made.add_argument(
        "--storage",
        type=str,
        default=None,
        help="the study's database: sqlite:///FILE, postgresql://... or mysql://...",
    )
    made.add_argument(
        "--heartbeat",
        type=int,
        default=10,
        help="seconds between signs of life of a trial; after six without one it counts as dead and is begun again",
    )
    made.add_class_arguments(TrackingSettings, "tracking", skip={"experiment"})
    return made


def command(args: Sequence[str]) -> StudyCommand:
    """What the arguments ask for, checked.

    Raises:
        UsageError: if something cannot be used.
    """
    files = option_values("--config", list(args))
    if not files:
        raise UsageError("--config is needed: a study file, conf/studies/digits.yaml say")
    made = parser()
    with explained(made):
        given = made.parse_args(list(args))
        settings = _settings(made.instantiate(given), Path(files[-1]))
    for name in ("workers", "heartbeat"):
        if given[name] < 1:
            raise UsageError(f"--{name}: expected 1 or more, got {given[name]}")
    _check_resources(given)
    _check(settings)
    return StudyCommand(
        settings=settings,
        workers=given.workers,
        engine=given.engine,
        cpus_per_worker=1.0 if given.cpus_per_worker is None else given.cpus_per_worker,
        gpus_per_worker=given.gpus_per_worker or 0.0,
        storage=given.storage,
        heartbeat=given.heartbeat,
        tracking=TrackingSettings(**vars(given.tracking), experiment=settings.name),
    )


def _check_resources(given: Namespace) -> None:
    for name in ("cpus_per_worker", "gpus_per_worker"):
        option, amount = f"--{name.replace('_', '-')}", given[name]
        if amount is None:
            continue
        if given.engine != "ray":
            raise UsageError(f"{option} is for --engine ray, got --engine {given.engine}")
        if not 0 <= amount < math.inf or (amount > 1 and amount != int(amount)):
            raise UsageError(f"{option}: expected a part of one or a whole number, got {amount:g}")


def _settings(given: Namespace, file: Path) -> StudySettings:
    settings = options_of(StudySettings, given)
    base = file.parent / settings.base
    if not base.is_file():
        raise UsageError(f"--base: there is no file {base}")
    return replace(settings, base=base)


def _check(settings: StudySettings) -> None:
    settings.sampler.check("sampler", optuna.samplers, optuna.samplers.BaseSampler)
    settings.pruner.check("pruner", optuna.pruners, optuna.pruners.BasePruner)
    if len(settings.objectives) > 1 and settings.pruner.name != "NopPruner":
        raise UsageError(f"--pruner.name: with several objectives Optuna prunes nothing, got {settings.pruner.name}")
    for option in ("seed", "seeds", "resume", "trainer.max_steps"):
        given = {**settings.options, **settings.space}
        if option in given and (option != "trainer.max_steps" or settings.budget != Budget()):
            source = "--budget" if option == "trainer.max_steps" else "--seeds of the study"
            raise UsageError(f"--{option} comes from {source} and cannot be given to the trials")
    for corner in corners(settings.dimensions):
        Command(settings.arguments(corner, settings.seeds[0]))
    for option in ("objectives", "constraints"):
        for metric in getattr(settings, option):
            if not metric.startswith(_METRICS):
                accepted = either(f"{each}..." for each in _METRICS)
                raise UsageError(f"--{option}: a run has metrics {accepted}; got {metric}")


# More than a study has on all machines, with those that take the places of others.
_MOST_WORKERS = 10_000

# Samplers that go through a list and end the study themselves, which Optuna allows in its own loop only.
_STOP_STUDIES = ("GridSampler", "BruteForceSampler")
_METRICS = ("val/", "train/", "grad/", "latent/", "cost/", "time/", "memory/")


def steps_of(command: Command, evaluations: int) -> int:
    """How many steps of a run cost `evaluations` of f for a datum of each minibatch; at least one."""
    model = command.model
    per_step = model.estimator.evaluations(model.posterior_of(command.datamodule.sample_batch("valid")))
    return max(1, math.floor(evaluations / per_step))
