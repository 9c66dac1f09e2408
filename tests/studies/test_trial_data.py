"""The data of a study's trials: one digest for each description."""

from types import SimpleNamespace

import numpy as np
import optuna
import pytest

from reparam_suite.data import Arrays, Digits
from reparam_suite.studies.reports import TrialObserver
from reparam_suite.studies.trial_data import check_trial_data

ROWS = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32)


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "rows.npz"
    np.savez(file, x_train=ROWS)
    return file


def parts(data) -> SimpleNamespace:
    return SimpleNamespace(given_data=data, data=data, run=SimpleNamespace(seed=0))


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
