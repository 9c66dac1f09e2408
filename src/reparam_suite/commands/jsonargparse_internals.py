"""Private names of jsonargparse and argparse: the one place that uses them.

Its public `set_parsing_settings` adds to the import policy of the whole process and cannot take anything back.
"""

import sys
from argparse import SUPPRESS
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentParser, _typehints, get_loader, set_loader, set_parsing_settings
from jsonargparse._common import parsing_settings
from jsonargparse._paths import Path as _Path

from reparam_suite.runtime import strict_yaml

_POLICY = ("import_path_verdicts", "import_paths_enforced")


def option_strings(parser: ArgumentParser) -> list[str]:
    """The options that a parser tells of as they are typed. argparse has no public list of them."""
    told = (action for action in parser._actions if action.help != SUPPRESS)
    return [option for action in told for option in action.option_strings]


def described_options(parser: ArgumentParser) -> dict[str, tuple[str, Any]]:
    """The help text and the default of each option that a parser tells of, by its name without dashes.

    When it parses, a parser gets options that jsonargparse has given up, to refuse them.
    """
    return {
        option.removeprefix("--"): (str(action.help), action.default)
        for action in parser._actions
        if action.help != SUPPRESS
        for option in action.option_strings
        if option.startswith("--")
    }


@contextmanager
def imports_only(modules: Collection[str]) -> Iterator[None]:
    """Within this context values that are parsed may name classes and functions of these modules alone."""
    before = {key: parsing_settings[key] for key in _POLICY}
    set_parsing_settings(import_path_denylist=["*"], import_path_allowlist=sorted(modules))
    try:
        yield
    finally:
        parsing_settings.update(before)


@contextmanager
def strict_files() -> Iterator[None]:
    """Within this context what is parsed is held to `strict_yaml`: files in UTF-8, every key once, no endless text.

    A `Path` of jsonargparse reads in the encoding of the locale, and its loader lets the last of two equal keys win.
    """
    load, read = get_loader("yaml"), _Path.read_text

    def strictly_loaded(text: str) -> Any:
        strict_yaml.check(text)
        return load(text)

    def read_text(path: _Path) -> str:
        is_file = not (path.is_url or path.is_fsspec or str(path) == "-")
        return strict_yaml.read_text(Path(path.absolute)) if is_file else read(path)

    set_loader("yaml", strictly_loaded, exceptions=(yaml.YAMLError,))
    _Path.read_text = read_text  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        set_loader("yaml", load, exceptions=(yaml.YAMLError,))
        _Path.read_text = read  # type: ignore[method-assign]


@contextmanager
def one_path_per_class() -> Iterator[None]:
    """Within this context a class stands once in the list of those that a short name may mean.

    torch.export traces a model that has one module in two places through subclasses of its modules' classes, which
    carry the names of these and are freed by the garbage collector alone. The parser finds them as further subclasses,
    finds the model's class itself at both of their paths, and refuses its name as that of several.
    """
    listed = _typehints.get_all_subclass_paths

    def distinct(*args: Any, **options: Any) -> list[str]:
        classes: dict[tuple[str, int | str], str] = {}
        for path in listed(*args, **options):
            found = _at(path)
            classes.setdefault((path.rpartition(".")[2], path if found is None else id(found)), path)
        return list(classes.values())

    _typehints.get_all_subclass_paths = distinct
    try:
        yield
    finally:
        _typehints.get_all_subclass_paths = listed


def _at(path: str) -> object:
    module, _, name = path.rpartition(".")
    return getattr(sys.modules.get(module), name, None)
