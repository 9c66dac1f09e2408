"""Values of options as text: as a command line takes them."""

from collections.abc import Mapping
from typing import Any

import yaml

Value = bool | int | float | str | None


def arguments(options: Mapping[str, Value]) -> list[str]:
    """Options as arguments of a command line."""
    return [f"--{option}={_written(value)}" for option, value in options.items()]


def choosable(value: Any) -> Value:
    """A value as a database stores it: lists and mappings as text, which the command line reads as what they are."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return yaml.safe_dump(value, default_flow_style=True, width=2**30).strip()


def _written(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)
