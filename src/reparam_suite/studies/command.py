"""The command line of a study: everything that can be refused is refused here, and nothing is created."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import optuna
from jsonargparse import ArgumentParser, Namespace
from rich.console import Console

from reparam_suite.commands.automatic import add_resume_option
from reparam_suite.commands.explanations import as_option, explained, options_of
from reparam_suite.commands.file_runs import Budget
from reparam_suite.commands.given import option_values
from reparam_suite.commands.schema import run_parser
from reparam_suite.commands.shipped import STUDIES, with_shipped_files
from reparam_suite.commands.shipped import names as shipped_names
from reparam_suite.commands.short_options import SHORT_OPTIONS, dotted, overridden, without_short_options
from reparam_suite.running import Surroundings
from reparam_suite.running.assembly import assemble
from reparam_suite.runtime.errors import SuiteError, UsageError
from reparam_suite.runtime.global_state import unchanged_globals
from reparam_suite.studies.exhaustive import as_sampler
from reparam_suite.studies.search import Search, StudyStorage, running_metric
from reparam_suite.studies.settings import StudySettings
from reparam_suite.studies.storage import url_of
from reparam_suite.tracking import TrackingError, TrackingSettings
from reparam_suite.training import StopSignals
from reparam_suite.workers import EngineName, add_worker_options, check_resources

USAGE = "python -m reparam_suite.study --config FILE [options]"
DESCRIPTION = """Searches the options of a run: trials on one shared study, by workers here and on other machines. The
same command resumes a study that was stopped. The short options of a run (--estimator, --latent_size, --learning_rate,
--batch_size, --max_steps, --max_epochs) are taken as well: what all trials share."""


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
        heartbeat: seconds between two signs of life of a trial; after six without one it is restarted.
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
    def database(self) -> StudyStorage:
        """The database of the study."""
        root = self.tracking.root
        return StudyStorage(url=url_of(self.storage, root), root=root, heartbeat=self.heartbeat)

    @property
    def search(self) -> Search:
        """The study, as its workers see it."""
        # Another process, on another machine maybe, has not the environment of this one.
        tracking = replace(self.tracking, uri=self.tracking.resolved_uri()) if self.engine == "ray" else self.tracking
        return self.settings.search(tracking)


def parser() -> ArgumentParser:
    """The options of the command."""
    made = ArgumentParser(prog="study", usage=USAGE, description=DESCRIPTION, exit_on_error=False, allow_abbrev=False)
    made.add_argument("--config", action="config", help="a study file; options after it override single settings")
    made.add_class_arguments(StudySettings, None)
    add_worker_options(made)
    add_resume_option(made)
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
        help="seconds between signs of life of a trial; after six without one it counts as dead and is restarted",
    )
    made.add_class_arguments(TrackingSettings, "tracking", skip={"experiment"})
    return made


def command(args: Sequence[str]) -> StudyCommand:
    """The command that the arguments ask for, checked; nothing is created.

    Raises:
        UsageError: if something cannot be used.
    """
    made = parser()
    if {"-h", "--help"} & set(args):
        print(made.format_help())
        raise SystemExit(0)
    args, of_runs = without_short_options(with_shipped_files(args, STUDIES))
    files = option_values("--config", args)
    if not files:
        raise UsageError(f"--config is needed: a study file, or one of {', '.join(shipped_names('studies'))}")
    with explained(made, [f"--{option}" for option in SHORT_OPTIONS]):
        given = made.parse_args(args)
        settings = _settings(made.instantiate(given), Path(files[-1]))
    settings = replace(settings, options=overridden(settings.options, of_runs, settings.space))
    for name in ("workers", "heartbeat"):
        if given[name] < 1:
            raise UsageError(f"--{name}: expected at least 1, got {given[name]}")
    check_resources(given.engine, given.cpus_per_worker, given.gpus_per_worker)
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


def _settings(given: Namespace, file: Path) -> StudySettings:
    settings = options_of(StudySettings, given)
    base = file.parent / settings.base
    if not os.path.isfile(base):
        raise UsageError(f"--base: there is no file {base}")
    return replace(settings, base=base)


def _check(settings: StudySettings) -> None:
    settings.sampler.check("sampler", optuna.samplers, optuna.samplers.BaseSampler)
    as_sampler(settings.sampler.made(optuna.samplers), settings.parsed_space, settings.trials)
    settings.pruner.check("pruner", optuna.pruners, optuna.pruners.BasePruner)
    if len(settings.objectives) > 1 and settings.prunes:
        raise UsageError(f"--pruner.name: with several objectives Optuna prunes nothing, got {settings.pruner.name}")
    for option in ("seed", "seeds", "resume", "trainer.max_steps"):
        given = {dotted(name) for name in (*settings.options, *settings.space)}
        if option in given and (option != "trainer.max_steps" or settings.budget != Budget()):
            source = "--budget" if option == "trainer.max_steps" else "--seeds of the study"
            raise UsageError(f"--{option} comes from {source} and cannot be given to the trials")
    settings.budget.check([dotted(name) for name in settings.space])
    _check_corners(settings)
    first = next(iter(settings.objectives))
    if settings.prunes and running_metric(first) is None:
        raise UsageError(f"--pruner: expected an objective that has a value at each validation, got {first}")


def _check_corners(settings: StudySettings) -> None:
    # Runs with every end of every range and every choice are made, and nothing is trained.
    make_run, seed = settings.runs(TrackingSettings()), settings.seeds[0]
    surroundings = Surroundings(Console(quiet=True), StopSignals(), relaunch=())
    for corner in settings.parsed_space.corners():
        with unchanged_globals():
            try:
                assemble(make_run(**corner, seed=seed), surroundings)
            except TrackingError:
                raise
            except SuiteError as error:
                raise UsageError(as_option(str(error), run_parser())) from error
