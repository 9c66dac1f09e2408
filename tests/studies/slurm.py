"""Stand-ins for SLURM and for the interpreter: a job's script runs on this machine, its commands in warm processes."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import wait
from pathlib import Path
from unittest import mock

from tests.launching import ended_sooner, undrawn
from tests.lives import Life

SRUN = """#!/bin/sh
# The tasks of a job step, at once, with the variables that SLURM sets for each; the exit code of the last that failed.
number=$SLURM_NTASKS
while :; do
  case $1 in
    --ntasks=*) number=${1#*=}; shift;;
    --*) shift;;
    *) break;;
  esac
done
tasks= task=0 code=0
while [ $task -lt $number ]; do
  SLURM_NTASKS=$number SLURM_PROCID=$task SLURM_LOCALID=$task SLURM_NODEID=0 SLURM_NNODES=1 "$@" & tasks="$tasks $!"
  task=$((task + 1))
done
for task in $tasks; do wait $task || code=$?; done
exit $code
"""

PYTHON = """#!/bin/sh
# Leaves its arguments and its environment, and waits for an exit code.
call=$(mktemp -d "$CALLS/call.XXXXXX")
mkfifo "$call/code"
printf '%s\\0' "$@" > "$call/arguments"
env -0 > "$call/environment"
echo "$call" > "$CALLS/new"
read code < "$call/code"
exit $code
"""


@dataclass(frozen=True)
class Command:
    """A command that a script has run: `python -m MODULE`.

    Args:
        environment: in which the script has run it.
        life: its process.
    """

    environment: Mapping[str, str]
    life: Life

    @classmethod
    def of(cls, call: Path) -> "Command":
        """The process that a call of the stand-in asks for, begun in the working directory of this one."""
        m, module, *arguments = (call / "arguments").read_text().split("\0")[:-1]
        assert m == "-m"
        variables = (call / "environment").read_text().split("\0")[:-1]
        environment = dict(variable.split("=", 1) for variable in variables)
        return cls(environment, Life.of(_undrawn, module, arguments, environment, directory=call))

    @property
    def task(self) -> str:
        """The number of the task that it is."""
        return self.environment["SLURM_PROCID"]


def submitted(script: str, folder: Path, variables: Mapping[str, str]) -> tuple[int, list[Command]]:
    """The exit code of a job's script, and the commands that it has run.

    Args:
        script: of bash.
        folder: for the stand-ins.
        variables: of the environment, those that sbatch sets among them.
    """
    calls, programs = folder / "calls", folder / "bin"
    calls.mkdir()
    programs.mkdir()
    for name, text in {"srun": SRUN, "python": PYTHON}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    os.mkfifo(calls / "new")
    environment = {**os.environ, **variables, "CALLS": str(calls), "PATH": f"{programs}:{os.environ['PATH']}"}
    new = os.open(calls / "new", os.O_RDWR)  # with a writer of its own it has no end
    running: dict[Path, Command] = {}
    commands: list[Command] = []
    with subprocess.Popen(["bash", "-c", script], env=environment) as job:
        ended = os.pidfd_open(job.pid)
        while ended not in (ready := wait([ended, new, *(own.life.process.sentinel for own in running.values())])):
            if new in ready:
                for call in map(Path, os.read(new, 2**16).decode().split()):
                    running[call] = Command.of(call)
                    commands.append(running[call])
            for call in [call for call, own in running.items() if own.life.process.sentinel in ready]:
                (call / "code").write_text(f"{running.pop(call).life.end()}\n")
        os.close(ended)
    os.close(new)
    return job.returncode, commands


def _undrawn(module: str, arguments: list[str], environment: Mapping[str, str]) -> None:
    # Figures take longer than these trials, and so does the bound that a run ends with.
    from reparam_suite.studies import figures

    os.environ.update(environment)
    page = mock.patch.object(figures, "write_page", lambda study, metrics, file: file.touch())
    with undrawn(), ended_sooner(), mock.patch.object(figures, "drawn", return_value=()), page:
        raise SystemExit(import_module(module).main(arguments))
