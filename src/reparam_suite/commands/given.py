"""Options that a command line and its files give, before they are parsed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from reparam_suite.runtime import strict_yaml
from reparam_suite.versions import check_configuration

_OF_A_CLASS = ("class_path", "init_args")


def option_values(option: str, args: list[str]) -> list[str]:
    """The values that an option is given among arguments that have not been parsed."""
    return [
        given or (args[position + 1] if position + 1 < len(args) else "")
        for position, argument in enumerate(args)
        for name, _, given in [argument.partition("=")]
        if name == option
    ]


def with_signed_monitor(args: list[str]) -> list[str]:
    """Arguments in which `--monitor -val/loss` is one: argparse takes what begins with a minus for an option.

    >>> with_signed_monitor(["--seed", "3", "--monitor", "-val/loss"])
    ['--seed', '3', '--monitor=-val/loss']
    """
    joined: list[str] = []
    for argument in args:
        if joined and joined[-1] == "--monitor" and argument.startswith("-") and not argument.startswith("--"):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def given_options(args: list[str]) -> dict[str, Any]:
    """Values by dotted key, of files and of options; a class has the key of the option that takes it.

    Raises:
        EarlierVersionError: if version 0.1.0 has written a file.
    """
    given: dict[str, Any] = {}
    for position, argument in enumerate(args):
        option, _, value = argument.partition("=")
        value = value or (args[position + 1] if position + 1 < len(args) else "")
        if option in ("--config", "-c"):
            content = content_of(Path(value))
            check_configuration(content, f"--config {value}")
            given.update(_flattened("", content))
        elif option.startswith("--"):
            key = ".".join(part for part in option[2:].split(".") if part not in _OF_A_CLASS)
            given.update(_flattened(key, _loaded(value) if value.startswith("{") else value))
    return given


def content_of(file: Path) -> Any:
    """The content of a YAML file; of one that cannot be read, which the parser complains about, nothing."""
    try:
        return strict_yaml.read(file)
    except (OSError, ValueError, yaml.YAMLError):
        return {}


def _flattened(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict):
        yield key, value
        return
    for name, inner in value.items():
        yield from _flattened(key if name in _OF_A_CLASS else f"{key}.{name}".removeprefix("."), inner)


def _loaded(text: str) -> Any:
    try:
        return strict_yaml.loaded(text)
    except yaml.YAMLError:
        return {}
