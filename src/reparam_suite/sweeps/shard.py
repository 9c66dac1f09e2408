"""Parts of a sweep that processes without contact share."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from reparam_suite.runtime import checks
from reparam_suite.runtime.errors import ArgumentTypeError, ArgumentValueError
from reparam_suite.sweeps.grid import Cell


@final
@dataclass(frozen=True)
class Shard:
    """One of several equal parts of a sweep, as the tasks of an array of SLURM share it.

    Args:
        index: of the part, from 1.
        number: of parts.

    Raises:
        TypeError: if one is no integer.
        ValueError: if there is no such part.
    """

    index: int
    number: int

    def __post_init__(self) -> None:
        for name in ("index", "number"):
            object.__setattr__(self, name, checks.as_integer("shard", getattr(self, name)))
        if not 1 <= self.index <= self.number:
            raise ArgumentValueError(f"shard: expected I/N with I from 1 to N, got {self.index}/{self.number}")

    @classmethod
    def of(cls, text: str) -> "Shard":
        """The part that a text names, "3/8".

        Raises:
            ValueError: if it is none.
        """
        if not isinstance(text, str):
            raise ArgumentTypeError(f"shard: expected I/N with I from 1 to N, got {text!r}")
        if (found := re.fullmatch(r"(\d+)/(\d+)", text)) is None:
            raise ArgumentValueError(f"shard: expected I/N with I from 1 to N, got {text}")
        return cls(int(found[1]), int(found[2]))

    def share(self, cells: Sequence[Cell]) -> list[Cell]:
        """Every `number`-th of the cells, from the `index`-th on: its combinations are spread over the whole grid."""
        return list(cells[self.index - 1 :: self.number])
