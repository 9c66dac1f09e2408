"""The data of a study's trials: one digest for each description."""

from types import SimpleNamespace

import numpy as np
import optuna
import pytest
from tests.rows import ROWS, parts, rows_file

from reparam_suite.data import Arrays, Digits
from reparam_suite.studies.reports import TrialObserver
from reparam_suite.studies.trial_data import check_trial_data


@pytest.fixture
def path(tmp_path):
    return rows_file(tmp_path)


def test_a_study_compares_trials_on_the_same_data_alone(path):
    study = optuna.create_study()
    search = SimpleNamespace(tests=False, name="small")
    TrialObserver(search, study, None).assembled(parts(before := Arrays(path=path)))
    TrialObserver(search, study, None).assembled(parts(Arrays(path=path, seed=7)))
    TrialObserver(search, study, None).assembled(parts(Digits()))
    digest = before.digest
    np.savez(path, x_train=ROWS[::-1])
    with pytest.raises(ValueError, match=f"expected those of the earlier trials of small, of digest {digest}, got Ar"):
        TrialObserver(search, study, None).assembled(parts(Arrays(path=path)))
    with pytest.raises(ValueError, match="expected those of the earlier trials of small"):
        check_trial_data(study, "small", parts(Arrays(path=path)))
    assert check_trial_data(study, "small", parts(Digits())) is None


def test_what_is_to_be_kept_is_kept_by_a_trial_alone(path):
    study = optuna.create_study()
    attribute = check_trial_data(study, "small", parts(Arrays(path=path)))
    assert attribute is not None
    assert study.user_attrs == {}
