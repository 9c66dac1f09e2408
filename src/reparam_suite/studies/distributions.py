"""Search spaces from Optuna's distributions by the argument that they are for."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.distributions import distribution_to_json as as_json

from reparam_suite.runtime.errors import ArgumentTypeError, ArgumentValueError
from reparam_suite.studies.space import Options, Space
from reparam_suite.workers.making import check_arguments

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

_KINDS = (FloatDistribution, IntDistribution, CategoricalDistribution)


@final
@dataclass(frozen=True)
class ArgumentSpace(Space):
    """A space of arguments of a function.

    Args:
        distributions: of Optuna, by argument.

    Raises:
        ValueError: if there is none.
        TypeError: if one is no distribution of Optuna.
    """

    distributions: Mapping[str, BaseDistribution]

    def __post_init__(self) -> None:
        if not self.distributions:
            raise ArgumentValueError("space: expected at least one argument with its distribution, got none")
        for name, distribution in self.distributions.items():
            if not isinstance(distribution, _KINDS):
                accepted = ", ".join(kind.__name__ for kind in _KINDS)
                raise ArgumentTypeError(
                    f"space: {name}: expected one of optuna.distributions ({accepted}), got {distribution!r:.200}"
                )
            choices = distribution.choices if isinstance(distribution, CategoricalDistribution) else ()
            for choice in choices:
                if not isinstance(choice, bool | int | float | str | None):
                    raise ArgumentTypeError(
                        f"space: {name}: expected choices that a database takes (text, numbers, None), got "
                        f"{type(choice).__name__}; give each choice a name, and let make_run make the object"
                    )

    def check_accepted_by(self, make_run: Callable[..., object]) -> None:
        """Refuses a function that cannot be called with the arguments and `seed`.

        Raises:
            TypeError: naming them.
        """
        check_arguments(make_run, [*self.distributions])

    def suggest(self, trial: "BaseTrial") -> Options:
        """The values of a trial."""
        return {name: _suggested(trial, name, distribution) for name, distribution in self.distributions.items()}

    def corners(self) -> Iterator[Options]:
        """Both ends of every range and every choice, in few combinations."""
        ends = {name: _ends(distribution) for name, distribution in self.distributions.items()}
        for index in range(max(map(len, ends.values()))):
            yield {name: values[index % len(values)] for name, values in ends.items()}

    def definition(self) -> dict[str, Any]:
        """The distributions as Optuna writes them."""
        return {name: json.loads(as_json(distribution)) for name, distribution in self.distributions.items()}

    def names(self) -> set[str]:
        """The arguments."""
        return set(self.distributions)

    def num_points(self) -> float:
        """The product over the arguments; infinite where one is a range of real numbers without a step."""
        return math.prod(map(_num_values, self.distributions.values()))


def _num_values(distribution: BaseDistribution) -> float:
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    if distribution.step is None:
        return math.inf
    return round((distribution.high - distribution.low) / distribution.step) + 1


def _suggested(trial: "BaseTrial", name: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, FloatDistribution):
        low, high = distribution.low, distribution.high
        return trial.suggest_float(name, low, high, step=distribution.step, log=distribution.log)
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(
            name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    assert isinstance(distribution, CategoricalDistribution)
    return trial.suggest_categorical(name, distribution.choices)


def _ends(distribution: BaseDistribution) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return [distribution.low, distribution.high]
