"""Answers before the imports of a command, which take seconds.

Those of `fit` are its first help page, no such option, no such value; their texts are files, which `make golden` writes
from the parser, and to which a test holds them. Of `sweep` and `study` it is whether they start workers.
"""

import os
import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from reparam_suite.commands.short_options import SHORT_OPTIONS, dotted
from reparam_suite.commands.suggestions import meant, nearest

TEXTS = Path(__file__).parent / "early_texts"
HELP, OPTIONS = TEXTS / "help.txt", TEXTS / "options.txt"

OWN_CLASS = " or the dotted path of a class of your own"
"""How the list of the classes that an option may name ends."""

# What can be no number, no mapping and no dotted path; and words that YAML or Python takes for a value.
_WORD = re.compile(r"[A-Za-z_]\w*")
_VALUES = frozenset({"null", "none", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf", "infinity"})

# Where several processes are started, the first one alone speaks, and to find it out takes more than this module knows.
_STARTED = ("LOCAL_RANK", "RANK", "SLURM_PROCID", "TORCHELASTIC_RUN_ID")


def page(args: Sequence[str]) -> str | None:
    """The first page of help, if the arguments ask for it; None for those of a topic, which the parser has.

    Args:
        args: of the command.
    """
    if _is_started_by_another() or topics(args) != []:
        return None
    return HELP.read_text(encoding="utf-8").removesuffix("\n")


def topics(args: Sequence[str]) -> list[str] | None:
    """The topic of which arguments ask for help, in a list that is empty for the first page; None if they do not.

    >>> topics(["--help", "estimators"]), topics(["--help=all", "--seed"]), topics(["-h", "--seed", "1"]), topics([])
    (['estimators'], ['all'], [], None)

    Args:
        args: of the command.
    """
    for argument, following in zip_longest(args, args[1:], fillvalue="-"):
        name, equals, topic = argument.partition("=")
        if name in ("-h", "--help"):
            return [topic] if equals else [] if following.startswith("-") else [following]
    return None


def refusal(args: Sequence[str]) -> str | None:
    """The message about the first option that does not exist or does not take its value, where there is no doubt.

    Args:
        args: of the command.
    """
    helps = any(argument.partition("=")[0].endswith(".help") for argument in args) or topics(args) is not None
    if _is_started_by_another() or helps:
        return None
    known = dict(line.partition("\t")[::2] for line in OPTIONS.read_text(encoding="utf-8").splitlines())
    roots = {*map(_root, known), *(f"--{option}" for option in SHORT_OPTIONS)}
    for name, value in _pairs(args):
        if _root(name) not in roots:
            return unknown_option(name, list(known))
        expected = known.get(f"--{dotted(name[2:])}", "")
        if expected and _WORD.fullmatch(value) and not (_of_a_class(name) and _may_have_own_classes(args)):
            names = expected.removesuffix(OWN_CLASS).split(", ") if OWN_CLASS in expected else []
            if value not in names and value.lower() not in _VALUES:
                return f"{name}: expected {expected}, got {value}{nearest(value, names)}"
    return None


def asks_for_workers(args: Sequence[str]) -> bool:
    """Whether a command line asks for several worker processes of this machine.

    >>> asks_for_workers(["--config", "FILE", "--workers", "4"]), asks_for_workers(["--workers=4", "--dry_run"])
    (True, False)

    Args:
        args: of the command.
    """
    given = dict(_pairs(args))
    number = given.get("--workers", "")
    trains = topics(args) is None and "--dry_run" not in given and given.get("--engine", "local") == "local"
    return trains and number.isdecimal() and int(number) > 1


def unknown_option(name: str, known: Sequence[str]) -> str:
    """The message about an option that does not exist.

    Args:
        name: as it was typed.
        known: the options that there are.
    """
    return f"unknown option {name}{meant(name, known)}; --help lists all of them"


def _is_started_by_another() -> bool:
    return any(name in os.environ for name in _STARTED)


def _pairs(args: Sequence[str]) -> Iterator[tuple[str, str]]:
    # The options among arguments, each with its first value; empty if it has none.
    for argument, following in zip_longest(args, args[1:], fillvalue=""):
        if argument.startswith("--"):
            name, equals, value = argument.partition("=")
            yield name, value if equals or following.startswith("-") else following or value


def _of_a_class(name: str) -> bool:
    # Whether an option belongs to the class that another one names.
    return dotted(name[2:]).partition(".")[0] in ("model", "data") and "." in dotted(name[2:])


def _may_have_own_classes(args: Sequence[str]) -> bool:
    # Whether a file, a run or a dotted path may have said of which class the model or the data are.
    if any(argument.startswith(("-c", "--config", "--resume")) for argument in args):
        return True
    given = dict(_pairs(args))
    return not all(re.fullmatch(r"\w*", given.get(option, "")) for option in ("--model", "--data"))


def _root(argument: str) -> str:
    return argument.partition("=")[0].partition(".")[0].removesuffix("+")
