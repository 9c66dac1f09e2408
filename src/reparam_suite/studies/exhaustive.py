"""Samplers that go through all combinations of a space, in a study that ends by its number of trials."""

import math
from collections.abc import Sequence
from typing import Any, final

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, BruteForceSampler, GridSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from reparam_suite.runtime.errors import ArgumentValueError
from reparam_suite.studies.optuna_internals import grid_of
from reparam_suite.studies.space import Space


def as_sampler(sampler: BaseSampler, space: Space, num_trials: int) -> BaseSampler:
    """The sampler as a study takes it: one that ends a study itself no longer does.

    Args:
        sampler: any of Optuna or of a user's own.
        space: that is searched.
        num_trials: that the study ends with.

    Raises:
        ValueError: if an exhaustive sampler has fewer combinations than there are trials, or does not fit the space.
    """
    if not isinstance(sampler, GridSampler | BruteForceSampler):
        return sampler
    number = _num_combinations(sampler, space)
    if num_trials > number:
        name = type(sampler).__name__
        raise ArgumentValueError(f"trials: expected at most {number:g}, the combinations of {name}, got {num_trials}")
    return Exhaustive(sampler)


def _num_combinations(sampler: GridSampler | BruteForceSampler, space: Space) -> float:
    if isinstance(sampler, GridSampler):
        grid = grid_of(sampler)
        if set(grid) != space.names():
            raise ArgumentValueError(
                f"sampler: expected a search_space of {', '.join(sorted(space.names()))}, got {', '.join(sorted(grid))}"
            )
        return math.prod(len(values) for values in grid.values())
    if math.isinf(number := space.num_points()):
        raise ArgumentValueError(
            "sampler: BruteForceSampler goes through a finite space, expected whole numbers and choices, got a range "
            "of real numbers"
        )
    return number


@final
class Exhaustive(BaseSampler):
    """A sampler of Optuna that would stop the study at its last combination, which Optuna allows in its own loop only.

    Args:
        sampler: whose values these are.
    """

    def __init__(self, sampler: BaseSampler) -> None:
        self._sampler = sampler

    def reseed_rng(self) -> None:
        """Draws from other numbers."""
        self._sampler.reseed_rng()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The sampler's own."""
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The sampler's own."""
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """The sampler's own."""
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """The sampler's own."""
        self._sampler.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Nothing: the study ends by itself."""
