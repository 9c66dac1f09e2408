"""Identification of a run: its name, and tags about code, versions and process."""

import getpass
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from reparam_suite.tracking.process import Process
from reparam_suite.tracking.redaction import redact

_PACKAGES = ("reparam_suite", "torch", "lightning", "mlflow")


def run_name(estimator: str, seed: int, dataset: str) -> str:
    """The name of a run, in front what tells runs apart; MLflow's own names come from `random`, equal after seeding.

    >>> run_name("Pathwise", 0, "Digits")
    'Pathwise-0-Digits'
    """
    return f"{estimator}-{seed}-{dataset}"


def environment_tags() -> dict[str, str]:
    """Tags of this process: git commit, versions, and the process by which a dead run is known."""
    tags = {
        "version.python": platform.python_version(),
        **Process.this().tags(),
        # Names which the MLflow UI shows in columns of its own.
        "mlflow.user": _user(),
        "mlflow.source.name": Path(sys.argv[0]).name or "python",
        "mlflow.source.type": "LOCAL",
    }
    for package in _PACKAGES:
        try:
            tags[f"version.{package}"] = version(package)
        except PackageNotFoundError:
            tags[f"version.{package}"] = "not installed"
    return {key: redact(value) for key, value in {**tags, **_git_tags(__file__)}.items()}


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a uid without a name
        return str(os.getuid())


@cache
def _git_tags(file: str) -> Mapping[str, str]:
    # Asked once: a process that makes many runs makes all of them with the code that it has imported.
    # ls-files: a package installed into a .venv inside somebody's checkout is not that checkout's code.
    directory = Path(file).parent
    if _git(directory, "ls-files", "--error-unmatch", file) is None:
        return {}
    if (commit := _git(directory, "rev-parse", "HEAD")) is None:
        return {}
    changes = _git(directory, "status", "--porcelain", "--untracked-files=no")
    return {
        "git.commit": commit,
        "git.dirty": str(bool(changes)).lower(),
        "mlflow.source.git.commit": commit,
    }


def _git(directory: Path, *arguments: str) -> str | None:
    try:
        answer = subprocess.run(
            ["git", *arguments],
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):  # no git, or a file system that hangs
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
