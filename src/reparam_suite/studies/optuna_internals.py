"""Private names of Optuna that studies rely on, each with the reason why no public one will do.

`tests/studies/test_optuna_internals.py` fails when one of them is gone or means something else.
"""

from typing import Any

from optuna.samplers import GridSampler
from optuna.trial import FrozenTrial


def trial_id(trial: FrozenTrial) -> int:
    """The id of a trial in its storage, by which it is claimed; the public number counts within a study."""
    return int(trial._trial_id)


def grid_of(sampler: GridSampler) -> dict[str, list[Any]]:
    """The values that a GridSampler goes through, by parameter; it tells them to nobody."""
    return dict(sampler._search_space)
