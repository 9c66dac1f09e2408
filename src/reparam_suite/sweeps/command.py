"""The command line of a sweep: everything that can be refused is refused here, and nothing is created."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, final

from jsonargparse import ArgumentParser, Namespace

from reparam_suite.commands.automatic import add_resume_option
from reparam_suite.commands.explanations import explained, options_of
from reparam_suite.commands.given import option_values
from reparam_suite.commands.shipped import SWEEPS, names, with_shipped_files
from reparam_suite.commands.short_options import SHORT_OPTIONS, overridden, without_short_options
from reparam_suite.runtime.errors import ArgumentValueError, UsageError
from reparam_suite.sweeps.settings import SweepSettings, TableSettings
from reparam_suite.sweeps.shard import Shard
from reparam_suite.sweeps.sweep import Sweep
from reparam_suite.tracking import TrackingSettings
from reparam_suite.workers import Engine, add_worker_options, check_resources, engine_of

USAGE = """python -m reparam_suite.sweep --config FILE [options]
       python -m reparam_suite.sweep table NAME --rows '[OPTION, ...]' --columns '[METRIC, ...]'"""
DESCRIPTION = """Trains a run for every combination of a grid's values and every seed. The same command trains what is
missing, and resumes what was interrupted. The short options of a run (--estimator, --latent_size, --learning_rate,
--batch_size, --max_steps, --max_epochs) are taken as well: what all runs share."""
TABLE_DESCRIPTION = """Prints a table of a sweep on record: means over seeds with their spread, marks at the best and at
those that are not significantly worse."""


@final
@dataclass(frozen=True)
class SweepCommand:
    """A command line that was parsed and checked.

    Attributes:
        settings: of the sweep.
        sweep: that is run.
        dry_run: whether the plan alone is printed.
    """

    settings: SweepSettings
    sweep: Sweep
    dry_run: bool


@final
@dataclass(frozen=True)
class TableCommand:
    """A table of a sweep on record.

    Attributes:
        name: of the sweep.
        settings: of the table.
        tracking: where its runs are recorded.
    """

    name: str
    settings: TableSettings
    tracking: TrackingSettings


def parser() -> ArgumentParser:
    """The options of the command."""
    made = ArgumentParser(prog="sweep", usage=USAGE, description=DESCRIPTION, exit_on_error=False, allow_abbrev=False)
    made.add_argument("--config", action="config", help="a sweep file; options after it override single settings")
    made.add_class_arguments(SweepSettings, None)
    add_worker_options(made)
    add_resume_option(made)
    made.add_argument(
        "--shard", type=str, default=None, metavar="I/N", help="trains the I-th of N equal parts alone, I from 1"
    )
    made.add_argument("--skip_misfits", action="store_true", help="leaves out combinations of which no run can be made")
    made.add_argument("--dry_run", action="store_true", help="prints the plan and trains nothing")
    made.add_class_arguments(TrackingSettings, "tracking")
    return made


def table_parser() -> ArgumentParser:
    """The options of `table`."""
    made = ArgumentParser(
        prog="sweep table", usage=USAGE, description=TABLE_DESCRIPTION, exit_on_error=False, allow_abbrev=False
    )
    made.add_argument("name", type=str, help="of the sweep")
    made.add_class_arguments(TableSettings, None)
    made.add_class_arguments(TrackingSettings, "tracking")
    return made


def command(args: Sequence[str]) -> SweepCommand:
    """The sweep that the arguments ask for; nothing is created.

    Raises:
        UsageError: if something cannot be used.
    """
    args, of_runs = without_short_options(with_shipped_files(args, SWEEPS))
    files = option_values("--config", args)
    if not files:
        raise UsageError(f"--config is needed: a sweep file, or one of {', '.join(names('sweeps'))}")
    made = parser()
    with explained(made, [f"--{option}" for option in SHORT_OPTIONS]):
        given = made.parse_args(list(args))
        settings = _settings(made, given, Path(files[-1]))
        shard = None if given.shard is None else Shard.of(given.shard)
    settings = replace(settings, options=overridden(settings.options, of_runs, settings.combinations.arguments))
    if settings.table is not None:
        try:
            settings.table.check(settings.combinations, skip_misfits=given.skip_misfits)
        except ArgumentValueError as error:
            raise UsageError(f"--table.{error}") from error
    check_resources(given.engine, given.cpus_per_worker, given.gpus_per_worker)
    tracking = TrackingSettings(**vars(given.tracking))
    if given.engine == "ray":  # another machine has not the environment of this one
        tracking = replace(tracking, uri=tracking.resolved_uri())
    sweep = Sweep(
        settings.runs(tracking),
        grid=settings.combinations,
        seeds=settings.seeds,
        name=settings.name,
        workers=_engine(given, tracking),
        skip_misfits=given.skip_misfits,
        shard=shard,
        results=settings.results,
        definition=settings.definition(),
    )
    return SweepCommand(settings, sweep, given.dry_run)


def table_command(args: Sequence[str]) -> TableCommand:
    """The table that the arguments ask for.

    Raises:
        UsageError: if something cannot be used.
    """
    made = table_parser()
    with explained(made):
        given = made.parse_args(list(args))
        return TableCommand(
            given.name, options_of(TableSettings, made.instantiate(given)), TrackingSettings(**vars(given.tracking))
        )


def _engine(given: Namespace, tracking: TrackingSettings) -> Engine:
    return engine_of(
        given.engine,
        given.workers,
        cpus=given.cpus_per_worker,
        gpus=given.gpus_per_worker,
        databases={"tracking.uri": tracking.resolved_uri()},
    )


# Parts of a file whose values are options of a run: no object is made of them here.
_OF_RUNS = ("options", "grid", "zipped", "cells", "where")


def _settings(made: ArgumentParser, given: Namespace, file: Path) -> SweepSettings:
    of_runs = {name: _plain(given[name]) for name in _OF_RUNS}
    others = made.instantiate(Namespace({name: value for name, value in vars(given).items() if name not in of_runs}))
    names = [each.name for each in fields(SweepSettings)]
    settings = SweepSettings(**{name: others[name] for name in names if name not in of_runs}, **of_runs)
    base = file.parent / settings.base
    if not base.is_file():
        raise UsageError(f"--base: there is no file {base}")
    return replace(settings, base=base)


def _plain(value: Any) -> Any:
    if isinstance(value, Namespace):
        value = value.as_dict()
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
