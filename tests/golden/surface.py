"""What users, their scripts and their stores rely on, as lines of text: one golden file for each part of it."""

import enum
import inspect
import re
from argparse import SUPPRESS
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from jsonargparse import ArgumentParser
from tests import launching
from torch import Tensor

import reparam_suite
from reparam_suite import sync, ui
from reparam_suite.commands import early
from reparam_suite.commands.explanations import known_options
from reparam_suite.commands.help import help_page
from reparam_suite.commands.jsonargparse_internals import described_options
from reparam_suite.commands.options import ROOTS, Options
from reparam_suite.commands.schema import run_parser
from reparam_suite.commands.short_options import SHORT_OPTIONS
from reparam_suite.comparison import gradient_options
from reparam_suite.comparison import runs as compared_runs
from reparam_suite.runtime.errors import UsageError
from reparam_suite.runtime.expressions import written
from reparam_suite.studies import command as study
from reparam_suite.sweeps import command as sweep

PARTS = ("options", "names", "records", "layout", "checkpoint")
COMMANDS: Mapping[str, Callable[[], ArgumentParser]] = {
    "fit": run_parser,
    "study": study.parser,
    "sweep": sweep.parser,
    "sweep table": sweep.table_parser,
    "compare gradients": gradient_options.parser,
    "compare runs": compared_runs.parser,
    "sync": sync.parser,
    "ui": ui.parser,
}
ROOMS = (
    "data",
    "diagnostics",
    "distributions",
    "estimators",
    "figures",
    "models",
    "networks",
    "objectives",
    "problems",
    "testing",
)
RUNS = {
    "gaussian": ("--config", "gaussian_vae"),
    "discrete": ("--config", "discrete_two_layers"),
}
"""One of each kind of model: what they record differs."""
_OF_ANY_CLASS = frozenset(f"--{option}" for option in [*SHORT_OPTIONS.values(), "model.objective"])
"""Options of a model or of data that every class of the suite takes in the same way."""
_NUMBERS = "(?:int|float|bool)(?: or (?:int|float|bool))*"
_CLASSES = rf"\w+(?:, \w+)*{re.escape(early.OWN_CLASS)}"
_SHORT = ("--max_steps", "2", "--trainer.limit_val_batches", "1", "--trainer.limit_test_batches", "1")


def surface(root: Path) -> dict[str, list[str]]:
    """All parts, by their name; runs are trained under `root`."""
    with launching.ended_sooner():
        trained = {kind: launching.fit(*args, *_SHORT, root=root / kind) for kind, args in RUNS.items()}
    lines = options(), names(), records(trained), layout(trained), checkpoint(trained)
    return {part: list(found) for part, found in zip(PARTS, lines, strict=True)}


def options() -> Iterator[str]:
    """The options of the commands, with their defaults."""
    for command, parser in COMMANDS.items():
        for option, (_, default) in described_options(parser()).items():
            if default != SUPPRESS and not option.endswith("+"):
                yield f"{command} --{option} {_value(default)}"


def said_early() -> dict[Path, str]:
    """The texts that `fit` has before its imports; of a process that has imported no other models."""
    parser = run_parser()
    options = "".join(f"{option}{_expected(option)}\n" for option in dict.fromkeys(known_options(parser, ROOTS)))
    return {early.HELP: f"{help_page(parser, None)}\n", early.OPTIONS: options}


def _expected(option: str) -> str:
    # What the parser expects for an option, where no word is a number, or the word is the name of a class.
    if option.startswith(("-h", "--help", "-c", "--config", "--print_config", "--loggers")) or option.endswith(".help"):
        return ""
    if option.startswith(("--model.", "--data.")) and option not in _OF_ANY_CLASS:
        return ""
    try:
        Options.of([option, "no_such_word"])
    except UsageError as error:
        said = re.fullmatch(rf"{re.escape(option)}: expected ({_NUMBERS}|{_CLASSES}), got no_such_word", str(error))
        return f"\t{said[1]}" if said else ""
    return ""


def names() -> Iterator[str]:
    """The public names of the package, with their signatures; of classes also those of the methods that they define."""
    yield from _of(reparam_suite, reparam_suite.__all__)
    for room in ROOMS:
        module = import_module(f"reparam_suite.{room}")
        yield from _of(module, module.__all__)


def records(trained: Mapping[str, launching.Ended]) -> Iterator[str]:
    """The names of metrics, tags and parameters in MLflow, by the kind of run."""
    for kind, ended in trained.items():
        run = ended.run.data
        for what, found in (("metric", run.metrics), ("tag", run.tags), ("parameter", run.params)):
            yield from (
                f"{kind} {what} {name}" for name in sorted(found) if "git." not in name
            )  # as a checkout has them


def layout(trained: Mapping[str, launching.Ended]) -> Iterator[str]:
    """The files under the root of a run."""
    for kind, ended in trained.items():
        files = (str(file.relative_to(ended.root)) for file in ended.root.rglob("*") if file.is_file())
        yield from sorted({f"{kind} {_without_ids(file, ended.run_ids[0])}" for file in files})


def checkpoint(trained: Mapping[str, launching.Ended]) -> Iterator[str]:
    """The entries of a checkpoint, with their types."""
    for kind, ended in trained.items():
        (file,) = (ended.root / "checkpoints" / ended.run_ids[0]).glob("last.ckpt")
        content = torch.load(file, map_location="cpu", weights_only=True)
        yield from dict.fromkeys(f"{kind} {entry}" for entry in _entries(content))


def _of(module: ModuleType, public: list[str]) -> Iterator[str]:
    exported = {getattr(module, name) for name in public if inspect.isclass(getattr(module, name))}
    for name in sorted(public):
        value = getattr(module, name)
        path = f"{module.__name__}.{name}"
        if inspect.isclass(value) and value.__module__.startswith("reparam_suite."):
            yield path + _signature(value)
            yield from (f"{path}.{member}" for member in sorted(_members(value, exported - {value})))
        elif inspect.isroutine(value):
            yield path + _signature(value)
        else:
            yield f"{path}: {type(value).__name__}"


def _members(cls: type, elsewhere: set[type]) -> Iterator[str]:
    # What a class inherits from one that is exported as well is listed there.
    for name, value in inspect.getmembers(cls):
        owner = next((base for base in cls.__mro__ if name in vars(base)), cls)
        own = owner.__module__.startswith("reparam_suite.") and owner not in elsewhere
        if own and not name.startswith("_") and not inspect.isclass(value):
            yield name + _signature(value) if callable(value) else name


def _signature(value: Any) -> str:
    if inspect.isclass(value) and issubclass(value, enum.Enum):
        return f"({', '.join(value.__members__)})"
    if inspect.isclass(value) and (getattr(value, "_is_protocol", False) or issubclass(value, BaseException)):
        return ""
    if inspect.isclass(value) and not _constructor_owner(value).__module__.startswith("reparam_suite."):
        return "()"
    parameters = inspect.signature(value).parameters.values()
    kept = [
        parameter.replace(annotation=inspect.Parameter.empty, default=_Written(parameter.default))
        if parameter.default is not inspect.Parameter.empty
        else parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in parameters
    ]
    return str(inspect.Signature(kept))


def _constructor_owner(cls: type) -> type:
    # The constructor of a protocol is none: it gives way to object's when a class of it is first made.
    defined = (base for base in cls.__mro__ if {"__init__", "__new__"} & set(vars(base)))
    return next(base for base in defined if not getattr(base, "_is_protocol", False))


class _Written:
    def __init__(self, value: object) -> None:
        self.value = value

    def __repr__(self) -> str:
        return _value(self.value)


def _value(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    if inspect.isclass(value) or inspect.isroutine(value):
        return value.__qualname__
    return re.sub(r" at 0x[0-9a-f]+", "", written(value))


def _without_ids(file: str, run_id: str) -> str:
    return re.sub(r"\+timestamp\+\d+\+[0-9a-f-]{36}", "+TIME+ID", file.replace(run_id, "RUN"))


_OTHERS = re.compile(r"loops$|journal\.(curves|arrays)$|Checkpoints\.random\[\]$")
"""Entries whose members are Lightning's, torch's, or names of the records."""


def _entries(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, Mapping) and value and not _OTHERS.search(path):
        for name, entry in value.items():
            yield from _entries(entry, f"{path}.{'#' if isinstance(name, int) else name}".removeprefix("."))
    elif isinstance(value, list | tuple) and value:
        for entry in value:
            yield from _entries(entry, f"{path}[]")
    else:
        yield f"{path}: {f'Tensor {value.dim()}' if isinstance(value, Tensor) else type(value).__name__}"
