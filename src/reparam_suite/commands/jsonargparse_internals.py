"""Private names of jsonargparse and argparse: the one place that uses them.

Its public `set_parsing_settings` adds to the import policy of the whole process and cannot take anything back.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from jsonargparse import ArgumentParser, set_parsing_settings
from jsonargparse._common import parsing_settings

_POLICY = ("import_path_verdicts", "import_paths_enforced")


def option_strings(parser: ArgumentParser) -> list[str]:
    """All options of a parser as they are typed. argparse has no public list of them."""
    return [option for action in parser._actions for option in action.option_strings]


def described_options(parser: ArgumentParser) -> dict[str, tuple[str, Any]]:
    """The help text and the default of each option of a parser, by its name without dashes."""
    return {
        option.removeprefix("--"): (str(action.help), action.default)
        for action in parser._actions
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
