"""The command line of a study: everything that can be refused is refused here, and nothing is created."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, final

import optuna
from jsonargparse import ArgumentParser, Namespace

from reparam_suite.commands.command_line import Command, option_values
from reparam_suite.studies.settings import Budget, StudySettings
from reparam_suite.studies.space import corners
from reparam_suite.tracking import TrackingSettings
from reparam_suite.commands.usage import UsageError, either, explained, options_of

EngineName = Literal["local", "ray"]

USAGE = "python -m reparam_suite.study --config FILE [options]"
DESCRIPTION = """Searches the options of a run: trials on one shared study, by workers here and on other machines. The
same command goes on with a study that was stopped."""

_METRICS = ("val/", "train/", "grad/", "latent/", "cost/", "time/", "memory/")


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
