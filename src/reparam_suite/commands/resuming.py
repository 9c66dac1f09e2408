"""`--resume`: a run on record, under its own configuration and the options that are given beside it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from jsonargparse import ArgumentParser

from reparam_suite.commands.explanations import explained
from reparam_suite.commands.given import content_of, given_options, option_values
from reparam_suite.commands.options import Options
from reparam_suite.commands.shipped import with_shipped_files
from reparam_suite.commands.short_options import with_dotted_options
from reparam_suite.running import Run
from reparam_suite.running.resuming import found_run
from reparam_suite.running.resumption import CONFIG, Resumption, checkpoint_directory
from reparam_suite.runtime.construction import check_all_allowed
from reparam_suite.runtime.errors import NotAllowedError, UsageError
from reparam_suite.runtime.launchers import is_further_process
from reparam_suite.tracking import Store, TrackingSettings

# A record may name these without a word: they are the suite's own, or run nothing when they are made.
_TRUSTED = ("reparam_suite", "lightning.pytorch.callbacks")


def resumed_run(args: list[str], target: str) -> tuple[Options, Run]:
    """The run that --resume names, with the options that are given.

    Args:
        args: of the command line.
        target: a run's id, or a checkpoint.

    Raises:
        UsageError: if there is no such run, or its record names a class that is not allowed.
        TrackingError: if its store does not answer, or it is running.
    """
    typed, args = args, with_shipped_files(with_dotted_options(args))
    tracking = _tracking(args)
    resumption = found_run(target, tracking, allow_changes=False)
    file = checkpoint_directory(tracking.root, resumption.run_id) / CONFIG
    allow = [*_TRUSTED, *_words(option_values("--allow_modules", args), args)]
    try:
        check_all_allowed(dict(resumption.recorded), allow=allow)
    except NotAllowedError as error:
        raise UsageError(f"--resume: {file}: {error}, with --allow_modules") from None
    modules = {value.rpartition(".")[0] for value in map(str, given_options(args).values()) if "." in value}
    named = [module for module in modules if all(part.isidentifier() for part in module.split("."))]
    if option_values("--tracking.experiment", args):
        _check_experiment(resumption.run_id, tracking)
    with _present(file, resumption) as present:
        options = Options.of(["--config", str(present), *typed], allow=[*allow, *named])
    if options.values.seeds is not None:
        raise UsageError("--seeds: a resumed run has the seed that it had")
    resumption = replace(resumption, allow_changes=bool(options.values.allow_changes))
    return options, options.run(resumption=resumption)


@contextmanager
def _present(file: Path, resumption: Resumption) -> Iterator[Path]:
    # The configuration in a file that this version reads; that of an earlier one stays as it is until the run trains.
    if not resumption.earlier:
        yield file
        return
    with TemporaryDirectory() as folder:
        present = Path(folder) / CONFIG
        present.write_text(yaml.safe_dump(dict(resumption.recorded), sort_keys=False), encoding="utf-8")
        yield present


def _check_experiment(run_id: str, tracking: TrackingSettings) -> None:
    if not is_further_process() and not Store.open(tracking).runs(f"attributes.run_id = '{run_id}'"):
        raise UsageError(f"--tracking.experiment: expected that of run {run_id}, got {tracking.experiment}")


def _words(first: Iterable[str], args: list[str]) -> list[str]:
    # All values of an option that takes several.
    found = list(first)
    if "--allow_modules" in args:
        for argument in args[args.index("--allow_modules") + 2 :]:
            if argument.startswith("-"):
                break
            found.append(argument)
    return [module for module in found if module]


def _tracking(args: list[str]) -> TrackingSettings:
    """The store that the run is recorded in; the other arguments are not understood without its configuration."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(TrackingSettings, "tracking")
    own: list[str] = []
    for file in option_values("--config", args):
        content = content_of(Path(file))
        settings = content.get("tracking", {}) if isinstance(content, dict) else {}
        own += [f"--tracking.{key}={value}" for key, value in settings.items() if value is not None]
    names = [f"tracking.{name}" for name in vars(TrackingSettings())]
    own += [f"--{name}={value}" for name in names for value in option_values(f"--{name}", args)]
    with explained(parser):
        return TrackingSettings(**vars(parser.parse_args(own).tracking))
