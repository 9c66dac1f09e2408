"""Parameters on MLflow's page: what identifies a run, and what differs from the defaults."""

import pytest
from tests.launching import as_it_was

from reparam_suite.commands.options import Options
from reparam_suite.running.assembly import assemble
from reparam_suite.running.record import record_of
from reparam_suite.running.surroundings import library_call
from reparam_suite.runtime.global_state import unchanged_globals


def parameters(text: str) -> dict:
    with as_it_was(), unchanged_globals(), library_call(progress=False) as surroundings:
        return dict(record_of(assemble(Options.of(text.split()).run(), surroundings)).parameters)


IDENTITY = {
    "estimator": "Pathwise",
    "model": "GaussianVAE",
    "data": "Digits",
    "seed": 0,
    "max_steps": 5000,
    "latent_size": 10,
    "learning_rate": 0.001,
    "objective": "ELBO",
    "batch_size": 100,
}


def test_a_run_at_its_defaults_has_what_identifies_it():
    assert parameters("") == IDENTITY


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("--learning_rate 0.01 --seed 3", {"learning_rate": 0.01, "seed": 3}),
        ("--model.objective.weight 4", {"objective.weight": 4.0}),
        ("--trainer.gradient_clip_val 2 --max_epochs 3", {"gradient_clip_val": 2.0, "max_epochs": 3}),
        ("--record.every 7 --data.seed 5", {"record.every": 7, "data.seed": 5}),
        ("--model.posterior FullCovarianceNormal", {"posterior": "FullCovarianceNormal"}),
        ("--estimator.num_samples 3", {"estimator.num_samples": 3}),
        ("--model.hidden_sizes [7] --monitor val/kl", {"hidden_sizes": [7], "monitor": "val/kl"}),
    ],
)
def test_what_differs_from_the_defaults_is_added(text, more):
    expected = IDENTITY | more
    if "max_epochs" in more:
        del expected["max_steps"]
    assert parameters(text) == expected


def test_an_estimator_has_its_baseline_and_its_own_arguments():
    found = parameters("--estimator ScoreFunction --estimator.baseline MovingAverage --estimator.baseline.decay 0.5")
    assert found["estimator"] == "ScoreFunction-MovingAverage"
    assert found["estimator.baseline"] == "MovingAverage"
    assert found["estimator.baseline.decay"] == 0.5
    assert not [name for name in found if "class_path" in name or "init_args" in name]
