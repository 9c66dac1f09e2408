"""YAML that says one thing: UTF-8 everywhere, every key once, and nothing that grows or nests without end."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import yaml

MOST_LEVELS = 100
"""Mappings and lists within each other: a configuration has a dozen, and a thousand end Python's recursion."""

MOST_VALUES = 100_000
"""Values of a text once its aliases are written out: nine lines of ten aliases each stand for a billion."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@final
class YAMLRefused(yaml.YAMLError):
    """A text that is YAML and is not taken; the message says what was expected and where."""


def read_text(file: Path) -> str:
    """The text of a file in UTF-8, whatever the locale, without the mark of its beginning.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is no UTF-8, or no file can have such a name.
    """
    return file.read_text(encoding="utf-8-sig")


def read(file: Path) -> Any:
    """The content of a YAML file.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is no UTF-8.
        yaml.YAMLError: if it is no YAML, or `check` refuses it.
    """
    return loaded(read_text(file))


def loaded(text: str) -> Any:
    """The content of a YAML text, in plain types; no tag makes an object.

    Raises:
        yaml.YAMLError: if it is no YAML, or `check` refuses it.
    """
    check(text)
    try:
        return yaml.load(text, Loader=_LOADER)
    except ValueError as error:  # of numbers and dates that are none
        raise YAMLRefused(f"expected values that can be read, got one that cannot: {error}") from error


def check(text: str) -> None:
    """Refuses a text in which a key is there twice, or that would be too deep or too large once it is read.

    Raises:
        yaml.YAMLError: if it is no YAML; `YAMLRefused` if it is.
    """
    open_: list[_Collection] = [_Collection(None, 0)]
    sizes: dict[str, int] = {}
    for event in _events(text):
        line = event.start_mark.line + 1 if event.start_mark is not None else 0
        if isinstance(event, yaml.CollectionEndEvent):
            closed = open_.pop()
            if closed.anchor is not None:
                sizes[closed.anchor] = closed.size
            open_[-1].add(closed.size, line)
        elif isinstance(event, yaml.CollectionStartEvent):
            open_[-1].is_key(None, line)
            open_.append(_Collection(event.anchor, line, of_pairs=isinstance(event, yaml.MappingStartEvent)))
            if len(open_) > MOST_LEVELS:
                raise YAMLRefused(f"expected at most {MOST_LEVELS} levels, got more in line {line}")
        elif isinstance(event, yaml.ScalarEvent):
            open_[-1].is_key(event.value, line)
            if event.anchor is not None:
                sizes[event.anchor] = 1
            open_[-1].add(1, line)
        elif isinstance(event, yaml.AliasEvent):
            open_[-1].is_key(None, line)
            if event.anchor not in sizes and any(each.anchor == event.anchor for each in open_):
                raise YAMLRefused(f"expected a value that ends, got *{event.anchor} within itself in line {line}")
            open_[-1].add(sizes.get(event.anchor or "", 1), line)


def _events(text: str) -> Iterator[yaml.Event]:
    try:
        yield from yaml.parse(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        if "maximum nesting depth" not in str(error):  # PyYAML from 6.0.4 on reads ahead, and has a limit of its own
            raise
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise YAMLRefused(f"expected at most {MOST_LEVELS} levels, got more in line {line}") from error


@dataclass
class _Collection:
    # A mapping or a list that is being read; keys and values of a mapping alternate.
    anchor: str | None
    line: int
    of_pairs: bool = False
    size: int = 1
    keys: dict[str, int] = field(default_factory=dict)
    position: int = 0

    def is_key(self, key: str | None, line: int) -> None:
        self.position += 1
        if not self.of_pairs or not self.position % 2 or key is None:
            return
        if key in self.keys:
            raise YAMLRefused(f"expected every key once, got {key} in lines {self.keys[key]} and {line}")
        self.keys[key] = line

    def add(self, size: int, line: int) -> None:
        self.size += size
        if self.size > MOST_VALUES:
            raise YAMLRefused(f"expected at most {MOST_VALUES:,} values, got more in line {line}")
