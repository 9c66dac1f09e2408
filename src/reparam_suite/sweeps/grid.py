"""The cells of a sweep: every combination of the grid's values, with every seed."""

import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

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
        return ", ".join(f"{name}={expression}" for name, expression in self.expressions.items())

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


def cells_of(grid: Mapping[str, Iterable[Any]], seeds: Iterable[int]) -> list[Cell]:
    """All cells, the seed changing fastest.

    Raises:
        ValueError: if an argument has no values or the same one twice, or there is no seed or the same one twice.
        TypeError: if an argument's values are no list.
    """
    values = {name: _listed(name, several) for name, several in grid.items()}
    if not values:
        raise ArgumentValueError("grid: expected at least one argument with its values, got none")
    if "seed" in values:
        raise ArgumentValueError("grid: expected arguments beside the seed, got seed: give seeds=")
    all_seeds = list(seeds)
    if not all_seeds:
        raise ArgumentValueError("seeds: expected at least one, got none")
    if len(set(all_seeds)) < len(all_seeds):
        raise ArgumentValueError(f"seeds: expected each once, got {all_seeds}")
    expressions = {name: [written(value) for value in several] for name, several in values.items()}
    for name, told in expressions.items():
        if twice := next((expression for expression in told if told.count(expression) > 1), None):
            raise ArgumentValueError(f"grid: {name}: expected different values, got {twice} twice")
    positions = itertools.product(*(range(len(several)) for several in values.values()))
    return [
        Cell(
            {name: values[name][index] for name, index in zip(values, chosen, strict=True)},
            {name: expressions[name][index] for name, index in zip(values, chosen, strict=True)},
            int(seed),
        )
        for chosen in positions
        for seed in all_seeds
    ]


def combinations_of(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """The cells by their values, each list over the seeds."""
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(cell.combination, []).append(cell)
    return found


def _listed(name: str, several: Any) -> list[Any]:
    if isinstance(several, str) or not isinstance(several, Iterable):
        raise ArgumentTypeError(f"grid: {name}: expected a list of values, got {several!r:.200}")
    if not (values := list(several)):
        raise ArgumentValueError(f"grid: {name}: expected at least one value, got none")
    return values
