"""`compare runs`: finished runs side by side, from the command line to the record."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import final

from jsonargparse import ArgumentParser
from rich.console import Console

from reparam_suite.commands.explanations import explained, options_of
from reparam_suite.comparison.groups import grouped
from reparam_suite.comparison.run_report import CURVES, RunReport
from reparam_suite.runtime import checks
from reparam_suite.runtime.errors import UsageError
from reparam_suite.runtime.file_locks import made_directories
from reparam_suite.tracking import LONGEST_NAME, Store, TrackingSettings
from reparam_suite.tracking.views import COMPARISON, KIND
from reparam_suite.training import StopSignals

USAGE = "python -m reparam_suite.compare runs [--experiment E | --study S] [options]"
DESCRIPTION = """Reads finished runs from MLflow, prints them grouped by estimator (mean and standard error over seeds),
and records table, figures and a page that opens without a server in a run of its own."""
EPILOG = """Runs that differ in their seed alone are one row; where runs of one estimator differ in other options as
well, each value is a row. Of runs with the same seed and configuration the latest counts. Models, data sets and
objectives have tables of their own, and so have data of another digest: their numbers do not compare. A run that
diverged is in the table, and in no mean."""


@final
@dataclass(frozen=True)
class RunOptions:
    """Which runs, and where to.

    Args:
        experiment: the MLflow experiment that has the runs, and gets the comparison.
        study: a study instead, whose trials are the runs.
        filter: a condition on the runs in the language of MLflow's search: tags.dataset = 'MNIST' and
            metrics.`test/elbo` > -110.
        output: a directory for table, figures and page beside the record.

    Raises:
        ValueError: if both an experiment and a study are named, or `output` cannot be a directory.
    """

    experiment: str | None = None
    study: str | None = None
    filter: str = ""
    output: Path | None = None

    def __post_init__(self) -> None:
        if self.experiment is not None and self.study is not None:
            raise ValueError(
                f"--study: expected one of --experiment and --study, since a study is an experiment of its own, got "
                f"--experiment {self.experiment} and --study {self.study}"
            )
        for option, name in {"--experiment": self.experiment, "--study": self.study}.items():
            if name is not None:
                checks.name(option, name, most=LONGEST_NAME)
        if self.output is not None:
            _check_directory(self.output)

    @property
    def source(self) -> str:
        """The name of the MLflow experiment."""
        return self.study or self.experiment or TrackingSettings().experiment


def compare_runs(args: list[str], console: Console, signals: StopSignals) -> None:
    """Reads, prints and records.

    Raises:
        UsageError: if an argument cannot be used, or no run is found. Nothing has been created then.
        TrackingError: if the store cannot be read, or the comparison cannot be recorded.
    """
    options, tracking = _parsed(args)
    store = _store(options, tracking, console)
    runs = [run for run in store.runs(options.filter, finished=True) if run.is_training]
    if not runs:
        told = f" that fulfils {options.filter}" if options.filter else ""
        raise UsageError(f"--experiment {options.source}: it has no finished run{told}")
    ids = [run.run_id for run in runs]
    groups = grouped(runs)
    report = RunReport(f"Runs of {options.source}", groups, {key: store.histories(ids, key) for key in CURVES})
    if options.output is not None:
        _write_out(options.output, report)
    report.show(console)
    signals.wait()  # a record is whole
    _record(store, options, report, num_runs=len(runs), console=console)


def _check_directory(path: Path) -> None:
    if "\0" in str(path):
        raise ValueError("--output: expected a name of a directory, got one with a null byte")
    there = next(each for each in (path, *path.absolute().parents) if os.path.lexists(each))
    if not there.is_dir():
        raise ValueError(f"--output: expected a directory, got the file {there}")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"--output: expected a directory that can be written to, got {there}")


def parser() -> ArgumentParser:
    """The options of the command."""
    made = ArgumentParser(
        prog="compare runs",
        usage=USAGE,
        description=DESCRIPTION,
        epilog=EPILOG,
        exit_on_error=False,
        allow_abbrev=False,
    )
    made.add_class_arguments(RunOptions)
    made.add_class_arguments(TrackingSettings, "tracking", skip={"experiment"})
    return made


def _parsed(args: list[str]) -> tuple[RunOptions, TrackingSettings]:
    known = parser()
    with explained(known):
        parsed = known.parse_args(args)
        options = options_of(RunOptions, parsed)
        return options, TrackingSettings(**vars(parsed.tracking), experiment=options.source)


def _store(options: RunOptions, tracking: TrackingSettings, console: Console) -> Store:
    named = f"--study {options.study}" if options.study else f"--experiment {options.source}"
    if (missing := tracking.missing_file()) is not None:
        raise UsageError(f"{named}: the store {missing} does not exist")
    # Opening a store creates a missing experiment: its name is looked up first.
    known = Store.experiments(tracking)
    if options.source not in known:
        raise UsageError(f"{named}: there is none in {tracking.shown_uri}; it has {', '.join(known) or 'none at all'}")
    return Store.begin(tracking, partial(console.print, soft_wrap=True, markup=False))


def _write_out(directory: Path, report: RunReport) -> None:
    # Before anything is recorded; what was made is taken back if the rest cannot be.
    files: dict[str, Callable[[Path], object]] = {
        name: partial(Path.write_text, data=text, encoding="utf-8") for name, text in _texts(report).items()
    }
    files |= {f"{name}.png": figure.savefig for name, figure in report.figures()}
    made: list[Path] = []
    try:
        with made_directories(directory):
            for name, write in files.items():
                path = directory / name
                if not path.exists():
                    made.append(path)
                try:
                    write(path)
                except OSError:
                    for each in made:
                        each.unlink(missing_ok=True)
                    raise
    except OSError as error:
        raise UsageError(f"--output: {directory} cannot be written: {error.strerror or error}") from error


def _texts(report: RunReport) -> dict[str, str]:
    return {"runs.csv": report.csv(), "runs.html": report.page()}


def _record(store: Store, options: RunOptions, report: RunReport, *, num_runs: int, console: Console) -> None:
    logger = store.start_run(
        name=f"runs-{options.source}",
        parameters={"experiment": options.source, "filter": options.filter, "num_runs": num_runs},
        tags={KIND: COMPARISON, "comparison": "runs"},
    )
    try:
        for name, text in _texts(report).items():
            logger.log_text(text, name)
        for name, figure in report.figures():
            logger.log_figure(figure, f"figures/{name}")
    except BaseException:
        logger.close("FAILED")
        raise
    logger.close("FINISHED")
    console.print(f"run        {logger.run_id}", soft_wrap=True)
    console.print(f"page       {logger.artifact_uri}/runs.html", soft_wrap=True)
    console.print(f"MLflow UI  {store.ui_command}", soft_wrap=True)
