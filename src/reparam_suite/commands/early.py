"""Answers of `fit` before its imports, which take seconds: its first help page, and that there is no such option.

The texts are files, which `make golden` writes from the parser, and to which a test holds them.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from reparam_suite.commands.short_options import SHORT_OPTIONS
from reparam_suite.commands.suggestions import meant

TEXTS = Path(__file__).parent / "early_texts"
HELP, OPTIONS = TEXTS / "help.txt", TEXTS / "options.txt"

# Where several processes are started, the first one alone speaks, and to find it out takes more than this module knows.
_STARTED = ("LOCAL_RANK", "RANK", "SLURM_PROCID", "TORCHELASTIC_RUN_ID")


def page(args: Sequence[str]) -> str | None:
    """The first page of help, if the arguments ask for it; None for those of a topic, which the parser has.

    Args:
        args: of the command.
    """
    if _is_started_by_another():
        return None
    position = next((number for number, argument in enumerate(args) if argument in ("-h", "--help")), len(args))
    topics = args[position + 1 : position + 2]
    if position == len(args) or (topics and not topics[0].startswith("-")):
        return None
    return HELP.read_text(encoding="utf-8").removesuffix("\n")


def refusal(args: Sequence[str]) -> str | None:
    """The message about an option that does not exist, where the arguments leave no doubt.

    Args:
        args: of the command.
    """
    helps = any(argument in ("-h", "--help") or argument.partition("=")[0].endswith(".help") for argument in args)
    if _is_started_by_another() or helps:
        return None
    known = OPTIONS.read_text(encoding="utf-8").split()
    roots = {*map(_root, known), *(f"--{option}" for option in SHORT_OPTIONS)}
    unknown = (argument.partition("=")[0] for argument in args if argument[:2] == "--" and _root(argument) not in roots)
    name = next(unknown, None)
    return None if name is None else unknown_option(name, known)


def unknown_option(name: str, known: Sequence[str]) -> str:
    """The message about an option that does not exist.

    Args:
        name: as it was typed.
        known: the options that there are.
    """
    return f"unknown option {name}{meant(name, known)}; --help lists all of them"


def _is_started_by_another() -> bool:
    return any(name in os.environ for name in _STARTED)


def _root(argument: str) -> str:
    return argument.partition("=")[0].partition(".")[0].removesuffix("+")
