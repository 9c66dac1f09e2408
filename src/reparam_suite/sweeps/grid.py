"""The cells of a sweep: combinations of values, each with every seed."""

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

from reparam_suite.runtime import checks
from reparam_suite.runtime.errors import ArgumentTypeError, ArgumentValueError
from reparam_suite.runtime.expressions import written


@final
@dataclass(frozen=True)
class Cell:
    """One run of a sweep.

    Args:
        values: that the run is made from, by argument.
        expressions: of the values.
        seed: of the run.
    """

    values: Mapping[str, Any]
    expressions: Mapping[str, str]
    seed: int

    @property
    def combination(self) -> str:
        """The values without the seed, as people read them."""
        return told(self.expressions)

    @property
    def key(self) -> str:
        """By which its run is found again: a digest of the expressions and the seed."""
        text = json.dumps([sorted(self.expressions.items()), self.seed])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def row(self) -> dict[str, Any]:
        """The values for a table: numbers and text as they are, objects as expressions."""
        plain = bool | int | float | str | None
        values = {
            name: value if isinstance(value, plain) else self.expressions[name] for name, value in self.values.items()
        }
        return {**values, "seed": self.seed}


def told(expressions: Mapping[str, str]) -> str:
    """Values as people read them."""
    return ", ".join(f"{name}={expression}" for name, expression in expressions.items())


_Choice = dict[str, tuple[Any, str]]  # values with their expressions, by argument


@final
@dataclass(frozen=True, eq=False)
class Grid:
    """Combinations of values of arguments.

    A combination has a value of each argument of `product`, the values of `zipped` at one position, and one of
    `cells`; there is one for every way to choose them.

    Args:
        product: values of each argument.
        zipped: values of each argument, lists of one length that are gone through together.
        cells: values by argument, given one by one; they need not all have the same arguments.

    Raises:
        ValueError: if there are no values, an argument is in two places, lists of `zipped` differ in length, or
            something is there twice.
        TypeError: if an argument's values are no list, or a cell is no mapping.
    """

    product: Mapping[str, Iterable[Any]] = field(default_factory=dict)
    zipped: Mapping[str, Iterable[Any]] = field(default_factory=dict)
    cells: Iterable[Mapping[str, Any]] = ()

    def __post_init__(self) -> None:
        for name, values in (("grid", self.product), ("zipped", self.zipped)):
            if not isinstance(values, Mapping):
                raise ArgumentTypeError(f"{name}: expected values by argument, got {values!r:.200}")
        if isinstance(self.cells, str | Mapping) or not isinstance(self.cells, Iterable):
            raise ArgumentTypeError(f"cells: expected a list of combinations, got {self.cells!r:.200}")
        product = {name: _listed("grid", name, several) for name, several in self.product.items()}
        zipped = {name: _listed("zipped", name, several) for name, several in self.zipped.items()}
        cells = [_mapped(cell) for cell in self.cells]
        places = {"grid": set(product), "zipped": set(zipped), "cells": set().union(*cells)}
        if strange := next((name for names in places.values() for name in names if not isinstance(name, str)), None):
            raise ArgumentTypeError(f"grid: expected names of arguments, got {strange!r:.200}")
        if not any(places.values()):
            raise ArgumentValueError("grid: expected at least one argument with its values, got none")
        for (one, names), (other, others) in itertools.combinations(places.items(), 2):
            if both := sorted(names & others):
                raise ArgumentValueError(f"{other}: expected arguments that are not in {one}, got {', '.join(both)}")
        if "seed" in set().union(*places.values()):
            raise ArgumentValueError("grid: expected arguments beside the seed, got seed: give seeds=")
        if len({len(several) for several in zipped.values()}) > 1:
            lengths = ", ".join(f"{len(several)} of {name}" for name, several in zipped.items())
            raise ArgumentValueError(f"zipped: expected lists of one length, got {lengths}")
        for name, several in product.items():
            _check_different(f"grid: {name}: expected different values", map(written, several))
        for name, value in {"product": product, "zipped": zipped, "cells": cells}.items():
            object.__setattr__(self, name, value)
        combinations = [_expressions(choice) for choice in self._choices()]
        _check_different("grid: expected different combinations", map(told, combinations))

    @property
    def arguments(self) -> tuple[str, ...]:
        """The names of all arguments, in the order in which they are first given."""
        return tuple(dict.fromkeys([*self.product, *self.zipped, *(name for cell in self.cells for name in cell)]))

    def with_seeds(self, seeds: Iterable[int]) -> list[Cell]:
        """All cells, the seed changing fastest.

        Raises:
            TypeError: if one is no integer.
            ValueError: if there is no seed, one is out of range, or the same one is there twice.
        """
        all_seeds = checks.seeds("seeds", seeds)
        if not all_seeds:
            raise ArgumentValueError("seeds: expected at least one, got none")
        if len(set(all_seeds)) < len(all_seeds):
            raise ArgumentValueError(f"seeds: expected each once, got {all_seeds}")
        return [
            Cell({name: value for name, (value, _) in choice.items()}, _expressions(choice), seed)
            for choice in self._choices()
            for seed in all_seeds
        ]

    def where(self, values: Mapping[str, Any]) -> "Grid":
        """The combinations that have these values.

        Raises:
            ValueError: if there are none.
            TypeError: if they are not by argument.
        """
        if not isinstance(values, Mapping):
            raise ArgumentTypeError(f"where: expected values by argument, got {values!r:.200}")
        wanted = {name: written(value) for name, value in values.items()}
        cells = [
            {name: value for name, (value, _) in choice.items()}
            for choice in self._choices()
            if wanted.items() <= _expressions(choice).items()
        ]
        if not cells:
            raise ArgumentValueError(f"where: expected values of the grid, got {told(wanted)}")
        return Grid(cells=cells)

    def _choices(self) -> Iterator[_Choice]:
        factors: list[list[_Choice]] = [
            [{name: (value, written(value))} for value in several] for name, several in self.product.items()
        ]
        if self.zipped:
            positions = zip(*self.zipped.values(), strict=True)
            factors.append([_choice(zip(self.zipped, values, strict=True)) for values in positions])
        if self.cells:
            factors.append([_choice(cell.items()) for cell in self.cells])
        for parts in itertools.product(*factors):
            yield {name: value for part in parts for name, value in part.items()}


def combinations_of(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """The cells by their values, each list over the seeds."""
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(cell.combination, []).append(cell)
    return found


def _choice(values: Iterable[tuple[str, Any]]) -> _Choice:
    return {name: (value, written(value)) for name, value in values}


def _expressions(choice: _Choice) -> dict[str, str]:
    return {name: expression for name, (_, expression) in choice.items()}


def _check_different(expected: str, expressions: Iterable[str]) -> None:
    seen: set[str] = set()
    for expression in expressions:
        if expression in seen:
            raise ArgumentValueError(f"{expected}, got {expression} twice")
        seen.add(expression)


def _listed(place: str, name: str, several: Any) -> list[Any]:
    if isinstance(several, str | Mapping) or not isinstance(several, Iterable):
        raise ArgumentTypeError(f"{place}: {name}: expected a list of values, got {several!r:.200}")
    if not (values := list(several)):
        raise ArgumentValueError(f"{place}: {name}: expected at least one value, got none")
    return values


def _mapped(cell: Any) -> dict[str, Any]:
    if not isinstance(cell, Mapping):
        raise ArgumentTypeError(f"cells: expected values by argument, got {cell!r:.200}")
    if not cell:
        raise ArgumentValueError("cells: expected at least one argument in each, got none")
    return dict(cell)
