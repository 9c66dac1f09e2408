"""The data of a study: all of its trials are trained on the same."""

from typing import Any

import optuna

from reparam_suite.running.same_data import check_same_data, key_of_data
from reparam_suite.studies.storage import when_it_answers

_DIGESTS = "data "
"""The attributes of a study with the digests of its data: followed by the key of a description of data."""


def check_trial_data(study: optuna.Study, name: str, parts: Any) -> str | None:
    """Refuses data that were replaced since an earlier trial was trained on them.

    Args:
        study: which keeps the digest of its data.
        name: of the study.
        parts: of a run of a trial.

    Returns:
        The attribute of the study that is to have their digest; None if it has it, or they have none.

    Raises:
        UsageError: naming both digests.
    """
    if (key := key_of_data(parts)) is None:
        return None
    known = when_it_answers(lambda: study.user_attrs).get(_DIGESTS + key)
    check_same_data(parts, known, f"the earlier trials of {name}")
    return None if known is not None else _DIGESTS + key
