"""Runs as they would be made, of which none is trained."""

import pytest

from reparam_suite import Run
from reparam_suite.data import Digits
from reparam_suite.models import GaussianVAE
from reparam_suite.runtime.errors import UsageError
from reparam_suite.sweeps.prospects import Prospect, refusal
from reparam_suite.tracking import RecordedRun, TrackingError


def prospect(latent_size=2, **limits):
    return Prospect.of(
        Run(
            lambda: GaussianVAE(event_shape=(64,), latent_size=latent_size, hidden_sizes=(4,)),
            Digits(batch_size=300),
            **limits,
        )
    )


@pytest.mark.parametrize(
    ("limits", "num_steps"),
    [
        ({}, 5_000),
        ({"max_steps": 7}, 7),
        ({"max_epochs": 3}, 15),
        ({"max_epochs": 3, "max_steps": 12}, 12),
        ({"max_epochs": 3, "trainer": {"limit_train_batches": 2}}, 6),
        ({"max_epochs": 3, "trainer": {"accumulate_grad_batches": 2}}, 9),
        ({"trainer": {"max_time": "00:00:01:00"}}, None),
    ],
    ids=str,
)
def test_the_number_of_steps_is_that_of_the_tighter_limit(limits, num_steps):
    assert prospect(**limits).num_steps == num_steps


def test_what_makes_another_model_is_told():
    marks = {name: value for name, value in prospect().compared.items() if name.startswith("sweep.")}
    recorded = RecordedRun("r", "", marks, {**prospect().compared, "seed": "9", "record.every": "1"}, {})
    assert prospect().differences([recorded]) is None
    told = prospect(latent_size=3).differences([recorded])
    assert told is not None
    assert "sweep.architecture was " in told


def test_a_refusal_is_one_line_and_a_store_that_fails_is_none():
    assert refusal(UsageError("model: expected\n this")) == "model: expected this"
    assert refusal(KeyError("a")) == "KeyError: 'a'"
    with pytest.raises(TrackingError):
        refusal(TrackingError("away"))
