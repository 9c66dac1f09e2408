"""Search spaces: ranges and choices of the dotted options of a run."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from reparam_suite.commands.classes import either
from reparam_suite.commands.written_options import Value, choosable
from reparam_suite.runtime.errors import UsageError

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

Options = dict[str, Any]
"""Searched values by name: of options of a run, in the order in which the command line takes them, or of arguments."""


class Space(ABC):
    """The space that a study searches."""

    @abstractmethod
    def suggest(self, trial: "BaseTrial") -> Options:
        """The values of a trial."""

    @abstractmethod
    def corners(self) -> Iterator[Options]:
        """Few values in which every end of every range and every choice occurs."""

    @abstractmethod
    def definition(self) -> Any:
        """The space in plain types: equal for equal spaces."""

    @abstractmethod
    def names(self) -> set[str]:
        """The names of all parameters in the study."""

    @abstractmethod
    def num_points(self) -> float:
        """The number of its points; infinite where real numbers are searched."""


@dataclass(frozen=True)
class Dimension(ABC):
    """One thing that is searched.

    Args:
        option: of the run, with dots.
        name: of the parameter in the study; it differs from `option` where that belongs to one choice of another.
    """

    option: str
    name: str

    @abstractmethod
    def suggest(self, trial: "BaseTrial") -> Options:
        """The trial's values of the option, and of those that depend on it."""

    @abstractmethod
    def corners(self) -> Iterator[Options]:
        """Values at the ends of all ranges, every choice among them."""

    @abstractmethod
    def definition(self) -> Any:
        """The dimension as a study file writes it."""

    def names(self) -> set[str]:
        """Its name, and those of what depends on it."""
        return {self.name}

    @abstractmethod
    def num_points(self) -> float:
        """The number of its values, with those of what depends on it."""


@dataclass(frozen=True)
class Range(Dimension):
    """Numbers between two, both included."""

    low: float
    high: float
    log: bool

    def corners(self) -> Iterator[Options]:
        """Both ends."""
        yield {self.option: self.low}
        yield {self.option: self.high}


@final
@dataclass(frozen=True)
class FloatRange(Range):
    """Real numbers between two, both included."""

    def suggest(self, trial: "BaseTrial") -> Options:
        """One number."""
        return {self.option: trial.suggest_float(self.name, self.low, self.high, log=self.log)}

    def definition(self) -> Any:
        """{float: [low, high]}."""
        return {"log_float" if self.log else "float": [self.low, self.high]}

    def num_points(self) -> float:
        """Infinite."""
        return math.inf


@final
@dataclass(frozen=True)
class IntRange(Range):
    """Whole numbers between two, both included."""

    low: int
    high: int

    def suggest(self, trial: "BaseTrial") -> Options:
        """One number."""
        return {self.option: trial.suggest_int(self.name, self.low, self.high, log=self.log)}

    def definition(self) -> Any:
        """{int: [low, high]}."""
        return {"log_int" if self.log else "int": [self.low, self.high]}

    def num_points(self) -> float:
        """The whole numbers."""
        return self.high - self.low + 1


@final
@dataclass(frozen=True)
class Choice(Dimension):
    """One of several values, each with options of its own."""

    branches: Mapping[Value, tuple[Dimension, ...]]

    def suggest(self, trial: "BaseTrial") -> Options:
        """The choice, then the options of what was chosen."""
        chosen = trial.suggest_categorical(self.name, list(self.branches))
        options: Options = {self.option: chosen}
        for dimension in self.branches[chosen]:
            options |= dimension.suggest(trial)
        return options

    def corners(self) -> Iterator[Options]:
        """Those of each choice."""
        for choice, dimensions in self.branches.items():
            for corner in _corners(dimensions):
                yield {self.option: choice, **corner}

    def definition(self) -> Any:
        """{categorical: {choice: its options}}."""
        return {"categorical": {str(choice): _definition(own) for choice, own in self.branches.items()}}

    def names(self) -> set[str]:
        """Its own and those of all branches."""
        return {self.name}.union(*(dimension.names() for own in self.branches.values() for dimension in own))

    def num_points(self) -> float:
        """The sum over the branches."""
        return sum(math.prod(dimension.num_points() for dimension in own) for own in self.branches.values())


@final
@dataclass(frozen=True)
class OptionSpace(Space):
    """A space of options of a run.

    Args:
        dimensions: in the order in which their values are drawn.
    """

    dimensions: tuple[Dimension, ...]

    def suggest(self, trial: "BaseTrial") -> Options:
        """A trial's values of all dimensions."""
        options: Options = {}
        for dimension in self.dimensions:
            options |= dimension.suggest(trial)
        return options

    def corners(self) -> Iterator[Options]:
        """Few configurations in which every end of every range and every choice occurs."""
        return _corners(self.dimensions)

    def definition(self) -> dict[str, Any]:
        """Of each dimension, by its name."""
        return _definition(self.dimensions)

    def names(self) -> set[str]:
        """Those of all dimensions and branches."""
        return set().union(*(dimension.names() for dimension in self.dimensions))

    def num_points(self) -> float:
        """The product over the dimensions."""
        return math.prod(dimension.num_points() for dimension in self.dimensions)


def _corners(dimensions: tuple[Dimension, ...]) -> Iterator[Options]:
    all_corners = [list(dimension.corners()) for dimension in dimensions]
    for index in range(max((len(corners) for corners in all_corners), default=1)):
        yield {key: value for corners in all_corners for key, value in corners[index % len(corners)].items()}


def _definition(dimensions: tuple[Dimension, ...]) -> dict[str, Any]:
    return {dimension.name: dimension.definition() for dimension in dimensions}


_KINDS = ("float", "log_float", "int", "log_int", "categorical")


def parsed(space: Mapping[str, Any]) -> OptionSpace:
    """The space that a study file describes.

    Raises:
        UsageError: if it cannot be understood.
    """
    return OptionSpace(tuple(_parsed(option, option, described) for option, described in space.items()))


def _parsed(option: str, name: str, described: Any) -> Dimension:
    if not isinstance(described, Mapping) or len(described) != 1 or next(iter(described)) not in _KINDS:
        raise UsageError(f"space of {name}: expected one of {either(_KINDS)} with its values, got {described}")
    ((kind, values),) = described.items()
    if kind == "categorical":
        return _choice(option, name, values)
    whole, log = kind.endswith("int"), kind.startswith("log_")
    if not isinstance(values, list) or len(values) != 2:
        raise UsageError(f"space of {name}: expected {kind}: [lowest, highest], got {values}")
    numbers = [_number(number, name, whole=whole) for number in values]
    low, high = numbers
    if not low < high or (log and not low > 0):
        wanted = "0 < lowest < highest" if log else "lowest < highest"
        raise UsageError(f"space of {name}: expected {wanted}, got {values}")
    if whole:
        return IntRange(option, name, int(low), int(high), log)
    return FloatRange(option, name, low, high, log)


def _number(value: Any, name: str, *, whole: bool) -> float:
    try:
        number = float(value)  # a string too: YAML takes 1e-4 for one
    except (TypeError, ValueError):
        number = float("nan")
    if not abs(number) < float("inf") or (whole and number != int(number)):
        raise UsageError(f"space of {name}: expected {'whole ' if whole else ''}numbers, got {value}")
    return number


def _choice(option: str, name: str, values: Any) -> Choice:
    if isinstance(values, list):
        values = {choosable(value): {} for value in values}
    if not isinstance(values, Mapping) or not values:
        raise UsageError(f"space of {name}: expected categorical: [choices], or a mapping of choices, got {values}")
    branches: dict[Value, tuple[Dimension, ...]] = {}
    for choice, own in values.items():
        if own is not None and not isinstance(own, Mapping):
            raise UsageError(f"space of {name}: expected the options of {choice}, got {own}")
        branches[choice] = tuple(
            _parsed(f"{option}.{key}", f"{name}.{choice}.{key}", described) for key, described in (own or {}).items()
        )
    return Choice(option, name, branches)
