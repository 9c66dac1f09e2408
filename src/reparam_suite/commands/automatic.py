"""`--resume auto`: a command that resumes its own work when it is started again, as after a preemption."""

import dataclasses
import signal
import subprocess
from collections.abc import Iterator
from typing import Any, Literal

from reparam_suite.commands.complaint import complain
from reparam_suite.commands.given import option_values
from reparam_suite.commands.options import Options, set_threads
from reparam_suite.running import Run
from reparam_suite.running.keyed import RunKey, job_key, slurm_job
from reparam_suite.running.resumption import RUN_KEY
from reparam_suite.runtime.errors import UsageError
from reparam_suite.runtime.launchers import all_were_started

AUTO = "auto"


def is_automatic(args: list[str]) -> bool:
    """Whether a command line asks for its own run."""
    return option_values("--resume", args)[-1:] == [AUTO]


def automatic_runs(args: list[str]) -> Iterator[tuple[Run, list[str]]]:
    """The runs of a command line, each one resumed if it is on record, with the arguments that make it alone.

    Raises:
        UsageError: if the command has no key, several processes were started from outside, or there are several runs
            of the key.
        TrackingError: if the store does not answer, or a run is running.
    """
    options = Options.of(args)
    set_threads(options.values)
    trainer = vars(options.values.trainer)
    key = job_key(trainer) if options.values.run_key is None else RunKey(options.values.run_key)
    if key is None:
        raise UsageError("--resume: expected auto with --run_key KEY, or within a SLURM job, got auto alone")
    if all_were_started(trainer):
        raise UsageError(
            "--resume: expected a run's id where torchrun or SLURM starts the processes of a run, got auto"
        )
    for seed in dict.fromkeys(options.values.seeds or [options.values.seed]):
        found = key.resumption(seed, options.tracking, allow_changes=bool(options.values.allow_changes))
        run = options.run(seed=seed, resumption=found)
        target = ["--seeds", str(seed)] if found is None else ["--resume", found.run_id]
        own = [*_without(args, "--resume", "--seeds", "--run_key"), "--run_key", key.name, *target]
        yield dataclasses.replace(run, tags={**run.tags, RUN_KEY: key.name}), own


def add_resume_option(parser: Any) -> None:
    """Adds `--resume auto` to the options of a command that resumes what it finds in any case.

    Args:
        parser: of the command, an ArgumentParser.
    """
    parser.add_argument(
        "--resume",
        type=Literal["auto"],
        default=None,
        metavar="auto",
        help="has SLURM run the job again after a preemption; the same command resumes in any case",
    )


def requeued(args: list[str], code: int) -> str | None:
    """Has SLURM run this job again, if its command line asks for it, after a signal that was not Ctrl-C.

    Args:
        args: of the command.
        code: that the command ends with.

    Returns:
        What came of it; None outside of a job.
    """
    job = slurm_job()
    if not is_automatic(args) or job is None or code == 128 + signal.SIGINT:
        return None
    try:
        subprocess.run(["scontrol", "requeue", job], check=True, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        told = (getattr(error, "stderr", None) or str(error)).strip()
        return f"job {job} could not be requeued: {told}; the same command resumes"
    return f"job {job} is requeued"


def stopped(command: str, message: str, args: list[str], code: int) -> int:
    """Reports that a signal has ended a command, and what came of its job, if it has one.

    Args:
        command: its name.
        message: about the signal and what is finished.
        args: of the command.
        code: that it ends with.

    Returns:
        The exit code.
    """
    complain(command, message)
    if (told := requeued(args, code)) is not None:
        complain(command, told)
    return code


def _without(args: list[str], *options: str) -> list[str]:
    # Arguments without some options and all of their values.
    kept: list[str] = []
    left_out = False
    for argument in args:
        if argument.startswith("-"):
            left_out = argument.partition("=")[0] in options
        if not left_out:
            kept.append(argument)
    return kept
