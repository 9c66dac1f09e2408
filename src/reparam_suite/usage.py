"""Errors of use, told in one line: the option, what was given, what is accepted."""

import difflib
import inspect
import re
import typing
from collections.abc import Iterable, Sequence
from typing import Any, final

from jsonargparse import ArgumentParser

_KEY = re.compile(r'Parser key "([^"]+)"')
_BARE_KEY = re.compile(r'Parser key "[^"]+":$')
_CLASS = re.compile(r"Problem with given class_path '([^']+)'")
_UNKNOWN = re.compile(r"Option '([^']+)' is not accepted")
_NO_CLASS = re.compile(r"Expected a dot import path string: (\S+)")
_WRONG_TYPE = re.compile(r"Expected a <class '(?:[\w.]*\.)?(\w+)'>. Got value: (.*)")
_LITERAL = re.compile(r"Expected a typing.Literal\[(.*)\]")
_TYPE = re.compile(r"Expected a <class '(\w+)'>$")
_GIVEN_VALUE = re.compile(r"(?:val='|Given value: )([^'\n]*)")
_GIVEN = re.compile(r"Given value: (.*)")
_FRAME = ("Does not validate against any of the Union subtypes", "Subtypes:", "Errors:", "Given value type:")


@final
class UsageError(Exception):
    """Something that the user gave cannot be used; the message is the one line to show."""


def explain(error: Exception, parser: ArgumentParser, roots: dict[str, type]) -> UsageError:
    """What jsonargparse or a constructor objects to, in one line.

    Args:
        error: as raised while arguments were parsed or objects made from them.
        parser: whose options are compared with one that is unknown.
        roots: the classes of the top-level options that take one: model, data.
    """
    text = str(error)
    if text.startswith("unrecognized arguments"):
        given = text.split(":", 1)[1].split()
        unknown = next((each.partition("=")[0] for each in given if each.startswith("-")), given[0])
        known = [option for action in parser._actions for option in action.option_strings]
        return UsageError(f"unknown option {unknown}{_nearest(unknown, known)}; --help lists all of them")
    keys: list[str] = []
    classes: list[str] = []
    for line in text.splitlines():
        if found := _KEY.search(line):
            keys.append(found[1])
        if found := _CLASS.search(line):
            classes.append(found[1])
        if found := _UNKNOWN.search(line):
            return _unknown_argument(keys, classes[-1], found[1])
        if found := _NO_CLASS.search(line):
            return _unknown_class(keys, classes, found[1], roots)
        if found := _WRONG_TYPE.search(line):
            return UsageError(f"{_option(keys)}: expected {found[1].lower()}, got {found[2]}")
        if found := _LITERAL.search(line):
            given = _GIVEN_VALUE.findall(text)
            return UsageError(f"{_option(keys)}: expected one of {found[1]}, got {given[-1] if given else 'another'}")
    return UsageError(": ".join([*([_option(keys)] if keys else []), _leaves(text)]))


def _unknown_argument(keys: list[str], class_path: str, name: str) -> UsageError:
    cls = _imported(class_path)
    accepted = list(inspect.signature(cls).parameters) if cls else []
    listed = f"; it takes {', '.join(accepted)}" if accepted else "; it takes none"
    return UsageError(f"{_option([*keys, name])}: {class_path.rsplit('.', 1)[-1]} has no such option"
                      f"{_nearest(name, accepted)}{listed}")  # fmt: skip


def _unknown_class(keys: list[str], classes: list[str], name: str, roots: dict[str, type]) -> UsageError:
    base = _annotated(_imported(classes[-1]), keys[-1]) if classes else roots.get(keys[-1])
    accepted = sorted(_concrete(base)) if base else []
    listed = f"; accepted are {', '.join(accepted)}, or the dotted path of a class of your own" if accepted else ""
    return UsageError(f"{_option(keys)}: there is no {name}{_nearest(name, accepted)}{listed}")


def _leaves(text: str) -> str:
    # The objections themselves, without the frame that a union of types puts around them.
    lines = [re.sub(r"^\s*(- )?", "", line) for line in text.splitlines()]
    given = next((found[1] for line in lines if (found := _GIVEN.match(line))), None)
    types = [found[1] for line in lines if (found := _TYPE.match(line)) and found[1] != "NoneType"]
    kept = [
        _KEY.sub("", line).removeprefix(": ")
        for line in lines
        if line and not line.startswith(_FRAME) and not any(p.match(line) for p in (_GIVEN, _TYPE, _CLASS, _BARE_KEY))
    ]
    if kept:
        return "; ".join(dict.fromkeys(kept))
    return f"expected {' or '.join(types)}, got {given}" if types else " ".join(text.split())


def _option(keys: Sequence[str]) -> str:
    return "--" + ".".join(keys)


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f", did you mean {close[0]}?" if close else ""


def _imported(class_path: str) -> Any:
    module, _, name = class_path.rpartition(".")
    return getattr(__import__(module, fromlist=[name]), name, None)


def _annotated(cls: Any, argument: str) -> type | None:
    hint = typing.get_type_hints(cls.__init__).get(argument)
    candidates: tuple[Any, ...] = typing.get_args(hint) or (hint,)
    classes: list[type] = [each for each in candidates if isinstance(each, type)]
    return classes[0] if classes else None


def _concrete(base: type[Any]) -> set[str]:
    found: set[str] = set()
    for each in base.__subclasses__():
        found |= _concrete(each)
        if not inspect.isabstract(each) and each.__name__[0] != "_" and not hasattr(each, "lazy_get_init_args"):
            found.add(each.__name__)
    return found
