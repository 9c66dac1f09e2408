"""Constraints of a study: the values that a metric of a run may have."""

import math
from dataclasses import dataclass

from reparam_suite.runtime import checks


@dataclass(frozen=True)
class Limit:
    """The values that a metric may have, in its own unit.

    Args:
        at_most: the highest value that is feasible.
        at_least: the lowest one.

    Raises:
        TypeError: if one is no number.
        ValueError: if neither is given, one is not finite, or no value satisfies both.
    """

    at_most: float | None = None
    at_least: float | None = None

    def __post_init__(self) -> None:
        for name in ("at_least", "at_most"):
            if (end := getattr(self, name)) is not None:
                object.__setattr__(self, name, checks.as_number(f"constraints: {name}", end))
        ends = [end for end in (self.at_least, self.at_most) if end is not None]
        if not ends or not all(map(math.isfinite, ends)) or ends != sorted(ends):
            raise ValueError(
                f"constraints: expected at_most, at_least or both, finite and in order, got at_least "
                f"{self.at_least}, at_most {self.at_most}"
            )

    def violations(self, value: float) -> dict[str, float]:
        """The distance of a value beyond each end: zero or less where it is within, which is Optuna's convention."""
        beyond = {}
        if self.at_most is not None:
            beyond["at_most"] = value - self.at_most
        if self.at_least is not None:
            beyond["at_least"] = self.at_least - value
        return beyond
