"""Configuration files that the package ships, named without a path: `--config discrete_vae`."""

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from reparam_suite.runtime.errors import UsageError

CONF = Path(__file__).parents[1] / "conf"
"""The directory of the files."""

RUNS: Mapping[str, str] = {"--config": "", "-c": "", "--trainer": "trainer"}
"""Options of a run that take a file, with the directory below CONF of those that are shipped."""
STUDIES: Mapping[str, str] = {"--config": "studies"}
"""Options of a study that take a file, likewise."""
SWEEPS: Mapping[str, str] = {"--config": "sweeps"}
"""Options of a sweep that take a file, likewise."""


def names(directory: str = "") -> list[str]:
    """The names of the files that are shipped in a directory below CONF."""
    return sorted(file.stem for file in (CONF / directory).glob("*.yaml"))


def with_shipped_files(args: Sequence[str], directories: Mapping[str, str] = RUNS) -> list[str]:
    """Arguments of a command line with the paths of shipped files in the place of their names.

    A file of the working directory is taken before a shipped one of the same name.

    Args:
        args: of the command line.
        directories: of the shipped files, by option.

    Raises:
        UsageError: if a name without suffix and directory is neither a file nor shipped.
    """
    found = list(args)
    for position, argument in enumerate(args):
        option, equals, value = argument.partition("=")
        if option not in directories:
            continue
        if equals:
            found[position] = f"{option}={_file(option, value, directories[option])}"
        elif position + 1 < len(args):
            found[position + 1] = _file(option, args[position + 1], directories[option])
    return found


def _file(option: str, value: str, directory: str) -> str:
    if not re.fullmatch(r"[A-Za-z]\w*(-\w+)*", value, re.ASCII) or Path(value).exists():
        return value
    shipped = names(directory)
    if value in shipped:
        return str(CONF / directory / f"{value}.yaml")
    near = difflib.get_close_matches(value, shipped, n=1)
    suggestion = f", did you mean {near[0]}?" if near else ""
    raise UsageError(f"{option}: expected a YAML file, or one of {', '.join(shipped)}, got {value}{suggestion}")
