"""Objections of jsonargparse and of constructors in one line: the option, what is expected, what was given."""

import inspect
import re
from argparse import ArgumentError
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

from jsonargparse import ArgumentParser, Namespace

from reparam_suite.commands.classes import annotated, arguments_taken, concrete_subclasses, either, imported
from reparam_suite.commands.early import unknown_option
from reparam_suite.commands.jsonargparse_internals import one_path_per_class, option_strings, strict_files
from reparam_suite.commands.suggestions import meant_of_class, nearest
from reparam_suite.runtime.errors import UsageError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


T = TypeVar("T", bound="DataclassInstance")


@contextmanager
def explained(parser: ArgumentParser, short: Collection[str] = (), /, **roots: type) -> Iterator[None]:
    """Turns objections of jsonargparse and of constructors within this context into one line.

    A short name within it means the class of that name, whatever tracing has left behind in this process.

    Args:
        parser: whose options an unknown one is compared with.
        short: options that the command takes beside the parser's.
        roots: the classes of the top-level options that take one: model, data.

    Raises:
        UsageError: if arguments cannot be parsed, or objects not be made from them.
    """
    try:
        with strict_files(), one_path_per_class():
            yield
    except UsageError:
        raise
    except RecursionError as error:
        raise UsageError("expected values that do not nest without end, got some that do") from error
    except (ArgumentError, ValueError, TypeError) as error:
        raise UsageError(as_option(_Objection(str(error), parser, roots, short).explained(), parser)) from error


def as_option(message: str, parser: ArgumentParser) -> str:
    """A message of Python, `record.every: expected ..`, with the option of that name as the user types it."""
    name, colon, rest = message.partition(": ")
    known = set(option_strings(parser))
    option = next((full for full in (f"--{name}", f"--trainer.{name}") if full in known), None)
    if option is None and _OF_A_PART.fullmatch(name):  # which has the options of the class that it is
        option = f"--{name}"
    return f"{option}{colon}{rest}" if option and colon else message


@contextmanager
def arguments_of(key: str, cls: Any) -> Iterator[None]:
    """Names arguments of a class's constructor in errors within this context as options: --model.latent_size.

    Raises:
        UsageError: if a constructor raises one.
    """
    try:
        yield
    except UsageError as error:
        name = re.match(r"\w*", str(error))
        known = inspect.signature(cls).parameters if isinstance(cls, type) else {}
        if name is None or name[0] not in known:
            raise
        raise UsageError(f"--{key}.{error}") from error


def known_options(parser: ArgumentParser, roots: Mapping[str, type]) -> list[str]:
    """The options of a parser, and those of the classes that it takes, as far as they have names of their own.

    Args:
        parser: of the command.
        roots: the classes of the top-level options that take one.
    """
    own = option_strings(parser)
    classes: dict[str, Iterable[type]] = {
        key: sorted(concrete_subclasses(root), key=lambda cls: cls.__name__)
        for key, root in roots.items()
        if f"--{key}" in own
    }
    names = [f"--{key}.{name}" for key, those in classes.items() for cls in those for name in arguments_taken(cls)]
    within = [f"--model.{name}" for name in _WITHIN_THE_MODEL] if "model" in classes else []
    return [*own, *dict.fromkeys([*names, *within])]


def options_of(cls: type[T], given: Namespace) -> T:
    """The dataclass whose fields are options of the top level."""
    return cls(**{field.name: given[field.name] for field in fields(cls)})


_OF_A_PART = re.compile(r"(model|data)(\.\w+)+")

# What jsonargparse writes on its way down to the objection itself.
_KEY = re.compile(r'Parser key "([^"]+)"')
_CLASS = re.compile(r"Problem with given class_path '([^']+)'")
_TYPE = re.compile(r"Expected a <class '(?:[\w.]*\.)?(\w+)'>$")
_LITERAL = re.compile(r"Expected a typing.Literal\[(.*)\]")
_GIVEN = re.compile(r"Given value: (?:NestedArg\(.*val=)?'?(.*?)'?\)?$", re.MULTILINE)
_GOT = re.compile(r"\bGot value:\s*'?(.*?)'?$", re.MULTILINE)
_FRAME = re.compile(
    r"Does not validate against any of|Subtypes:|Errors:|Given value|Problem with given class_path"
    r'|Parser key "[^"]+":$|Expected a (<class|typing)|Expected a path but'
    r"|Not a valid subclass of|Subclass types expect one of|a class path \(|a dict with(out)? "
)
_FOREIGN = re.compile(r"^\[?Namespace\(class_path='(?!reparam_suite\.)(?:[\w.]*\.)?(\w+)'")


_NOTHING = "an empty value"

# Options of classes within a model, which have no parser until they are chosen.
_WITHIN_THE_MODEL = (
    *("estimator.num_samples", "estimator.baseline", "estimator.temperature"),
    *("objective.weight", "objective.warmup_steps"),
)


@dataclass
class _Objection:
    text: str
    parser: ArgumentParser
    roots: Mapping[str, type]
    short: Collection[str]
    keys: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)

    def explained(self) -> str:
        lines = [line.strip().removeprefix("- ") for line in self.text.splitlines()]
        wrong_class: re.Match[str] | None = None
        for line in lines:
            if (found := _KEY.search(line)) and found[1] not in self.keys:
                self.keys.append(found[1])
            if found := _CLASS.search(line):
                self.classes.append(found[1])
            for pattern, explain in _RULES:
                if explain is _Objection.no_instance and not self.keys:  # of a list: its items' objections are said
                    continue
                if found := pattern.search(line):
                    if explain is not _Objection.wrong_class:
                        return explain(self, found)
                    wrong_class = wrong_class or found  # of one type; another may be the one that is meant
                    break
        if wrong_class:
            return self.wrong_class(wrong_class)
        given = [found[1] for line in lines if (found := _GIVEN.search(line) or _GOT.search(line))]
        if accepted := [
            choice for line in lines if (found := _LITERAL.search(line)) for choice in found[1].split(", ")
        ]:
            names = either([*(name.strip(chr(39)) for name in accepted), *self.types(lines)])
            return f"{self.option()}: expected {names}, got {given[0] or _NOTHING}"
        objections = [line for line in lines if line and not _FRAME.match(line)]
        if not objections:
            got = f"got {given[0] or _NOTHING}" if given else ""
            objections = [f"expected {either(self.types(lines))}, {got}" if given else " ".join(lines)]
        explained = "; ".join(_KEY.sub("", objection).removeprefix(": ") for objection in dict.fromkeys(objections))
        foreign = _FOREIGN.search(given[0]) if given else None  # it refuses options in words that do not name it
        owner = self.option() if self.keys else foreign[1] if foreign else None
        return f"{owner}: {explained}" if owner else explained

    @staticmethod
    def types(lines: Iterable[str]) -> list[str]:
        # In an order of their own: that of a union is the one in which this process has seen it first.
        found = {found[1] for line in lines if (found := _TYPE.search(line))}
        return sorted(found - {"NoneType"}, key=lambda name: (name != "int", name))

    def option(self, *more: str) -> str:
        return "--" + ".".join([*self.keys, *more])

    def unrecognized(self, found: re.Match[str]) -> str:
        given = found[1].split()
        name = next((argument.partition("=")[0] for argument in given if argument.startswith("-")), given[0])
        return self.unknown_argument(name.removeprefix("--")) if self.classes else self.unknown_option(name)

    def not_accepted(self, found: re.Match[str]) -> str:
        return self.unknown_argument(found[1]) if self.classes else self.unknown_option(f"--{found[1]}")

    def not_in_group(self, found: re.Match[str]) -> str:
        name = f"{found[1]}.{found[2]}"
        return self.unknown_argument(name) if self.classes else self.unknown_option(f"--{name}")

    def unknown_option(self, name: str) -> str:
        return unknown_option(name, [*known_options(self.parser, self.roots), *self.short])

    def unknown_argument(self, name: str) -> str:
        *parents, last = name.split(".")
        cls = imported(self.classes[-1])
        for parent in parents:
            cls = next(iter(annotated(cls, parent)), None)
        accepted = arguments_taken(cls) if cls else []
        listed = f"; it takes {', '.join(accepted)}" if accepted else "; it takes none"
        owner = cls.__name__ if cls else self.classes[-1]
        near = meant_of_class(last, [*self.keys, *parents], accepted)
        return f"{self.option(name)}: {owner} has no such option{near}{listed}"

    def no_class(self, found: re.Match[str]) -> str:
        plain = [cls.__name__ for cls in self.wanted() if cls.__module__ == "builtins"]
        if plain:
            return f"{self.option()}: expected {either(plain)}, {self.listed()}, got {found[1]}"
        near = nearest(found[1], self.accepted())
        return f"{self.option()}: expected {self.listed()}, got {found[1]}{near}"

    def abstract(self, found: re.Match[str]) -> str:
        name = (found[1] or self.given()).rpartition(".")[2]
        return f"{self.option()}: expected {self.listed()}, got {name}, which is abstract"

    def wrong_class(self, found: re.Match[str]) -> str:
        return f"{self.option()}: expected {self.listed()}, got {found[1] or self.given()}, which is no {found[2]}"

    def given(self) -> str:
        """The value of the option, where the objection does not name it."""
        given = re.search(r"Given value: ([\w.]+)", self.text)
        return given[1] if given else "it"

    def not_importable(self, found: re.Match[str]) -> str:
        return f"{self.option()}: {self.classes[-1]} cannot be imported: {found[0]}"

    def not_allowed(self, found: re.Match[str]) -> str:
        return f"{self.option()}: {found[1]}"

    def nested(self, found: re.Match[str]) -> str:
        return f"{self.option(found[1])}: expected {self.option()} with its value, got an option of that value"

    def no_instance(self, found: re.Match[str]) -> str:  # noqa: ARG002
        got = _GOT.search(self.text) or next(_GIVEN.finditer(self.text), None)
        return f"{self.option()}: expected {self.listed()}, got {got[1] if got else _NOTHING}"

    def wrong_type(self, found: re.Match[str]) -> str:
        return f"{self.option()}: expected {found[1].lower()}, got {found[2] or _NOTHING}"

    def required(self, found: re.Match[str]) -> str:
        if not self.keys:
            return f"{found[1]}: expected a value, got none"
        owner = self.classes[-1].rpartition(".")[2] if self.classes else "it"
        return f"{self.option()}: expected {found[1]} for {owner}, got none"

    def no_yaml(self, found: re.Match[str]) -> str:  # noqa: ARG002
        reason = " ".join(self.text.removeprefix("Problems parsing config: ").split())
        return f"--config: it is no YAML: {reason}"

    def refused_yaml(self, found: re.Match[str]) -> str:
        return f"--config: {found[1]}"

    def no_mapping(self, found: re.Match[str]) -> str:
        return f"--config: expected options with their values, got {found[1] or _NOTHING}"

    def no_options(self, found: re.Match[str]) -> str:
        return (
            f"{self.option()}: expected options with their values, or a YAML file of them, got {found[1] or _NOTHING}"
        )

    def no_file(self, found: re.Match[str]) -> str:
        return f"{self.option() if self.keys else '--config'}: expected a name of a file, got one with a {found[0]}"

    def wanted(self) -> list[type]:
        """The types that the option may be of."""
        if self.classes:
            return annotated(imported(self.classes[-1]), self.keys[-1])
        return [self.roots[self.keys[-1]]] if self.keys[-1] in self.roots else []

    def accepted(self) -> list[str]:
        """The classes of ours that it may be of."""
        foreign = ("builtins", "torch")
        wanted = [cls for cls in self.wanted() if cls.__module__.partition(".")[0] not in foreign]
        return sorted({cls.__name__ for base in wanted for cls in concrete_subclasses(base)})

    def listed(self) -> str:
        return either([*self.accepted(), "the dotted path of a class of your own"])


_Rule = tuple[re.Pattern[str], Callable[[_Objection, re.Match[str]], str]]
_RULES: list[_Rule] = [
    (re.compile(r"unrecognized arguments: (.*)"), _Objection.unrecognized),
    (re.compile(r"Option '([^']+)' is not accepted"), _Objection.not_accepted),
    (re.compile(r"Group '([^']+)' does not accept option '([^']+)'"), _Objection.not_in_group),
    (re.compile(r"Expected a dot import path string: (\S+)"), _Objection.no_class),
    (re.compile(r"Expected an instantiatable class, but (?:([\w.]+) )?is abstract"), _Objection.abstract),
    (re.compile(r"Import path (?:(\S+) )?does not correspond to a subclass of (\w+)"), _Objection.wrong_class),
    (
        re.compile(r"(?:No module named|cannot import name|module '[^']*' has no attribute) .*"),
        _Objection.not_importable,
    ),
    (re.compile(r"Expected a <class '.*'>. Got value: NestedArg\(key='([\w.]+)'"), _Objection.nested),
    (re.compile(r"Not a valid subclass of"), _Objection.no_instance),
    (re.compile(r"Expected a <class '(?:[\w.]*\.)?(\w+)'>. Got value:\s*(.*)"), _Objection.wrong_type),
    (re.compile(r"the following arguments are required: (.*)"), _Objection.required),
    (re.compile(r"Problems parsing config: (expected .*)"), _Objection.refused_yaml),
    (re.compile(r"Problems parsing config: | codec can't decode "), _Objection.no_yaml),
    (re.compile(r"Unexpected config: ?(.*)"), _Objection.no_mapping),
    (re.compile(r"embedded null byte"), _Objection.no_file),
    (re.compile(r"Unable to load config '(.*?)'"), _Objection.no_options),
]
