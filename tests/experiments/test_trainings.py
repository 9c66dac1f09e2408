"""The experiments that train: equal evaluations, the same numbers again, published schedules."""

import math
from itertools import groupby
from pathlib import Path

import pytest
from docs.catalogue import Latents, entries
from experiments.learning_curves import NUM_MARKS, Task, mean_and_error, train
from experiments.presenting import Training
from torch import nn
from torch.distributions import Bernoulli, Normal

from experiments import discrete_baseline, published_tables, vae_comparison
from reparam_suite.estimators import Average, LogMeanExp
from reparam_suite.distributions import OneHotCategorical


def task(estimator, budget=48, seed=0):
    latents = Latents(Bernoulli, 4) if estimator.startswith("DisARM") else Latents(Normal, 2)
    return Task(estimator, latents, "Digits", Path(), budget, seed)


@pytest.mark.parametrize(
    ("estimator", "evaluations"), [("Pathwise", 1), ("ScoreFunction, LeaveOneOut", 4), ("DisARM", 2)]
)
def test_every_training_has_the_same_number_of_evaluations(estimator, evaluations):
    curve = train(task(estimator))
    assert curve.steps[0] == 0
    assert curve.steps[-1] == 48 // evaluations
    assert curve.evaluations[-1] == 48
    assert len(curve.steps) == len(curve.elbo) == len(curve.variance) == len(curve.seconds) == NUM_MARKS + 1
    assert curve.elbo[-1] > curve.elbo[0]


def test_a_training_can_be_had_again():
    one, again, other = train(task("Pathwise")), train(task("Pathwise")), train(task("Pathwise", seed=1))
    assert (one.elbo, one.variance) == (again.elbo, again.variance)
    assert one.elbo != other.elbo


def test_the_record_of_a_training_has_the_names_of_runs():
    done = task("ScoreFunction, LeaveOneOut")
    record = Training.of(done, train(done), "GaussianVAE")
    assert record.name == "ScoreFunction-LeaveOneOut-GaussianVAE-Digits-0"
    assert record.tags["estimator"] == "ScoreFunction-LeaveOneOut"
    assert [step for step, _ in record.curves["val/elbo"]][-1] == 12


def test_mean_and_error():
    assert mean_and_error([1.0, 2.0, 6.0]) == (3.0, pytest.approx(math.sqrt(7 / 3)))
    assert mean_and_error([2.0]) == (2.0, 0.0)


def test_every_discrete_estimator_is_compared():
    known = entries()
    discrete = {
        each.name
        for each in known
        if {Bernoulli, OneHotCategorical} & set(each.at_defaults.families) and Average in each.bounds()
    }
    assert set(discrete_baseline.fitting()) == discrete
    assert set(vae_comparison.ESTIMATORS) <= {each.name for each in known}


def test_the_published_schedule_of_the_importance_weighted_autoencoder():
    row = published_tables.ROWS[0]
    rates = list(published_tables.schedule(row, "short", steps_per_epoch=5))
    stages = [(round(rate, 7), len(list(steps))) for rate, steps in groupby(rates)]
    assert stages == [(1e-3, 5), (7.2e-4, 15), (5.2e-4, 45)]
    assert sum(3**stage for stage in range(published_tables.STAGES["full"])) == 3280


def test_differences_are_told_in_standard_errors():
    row = published_tables.ROWS[0]
    found = published_tables._compared(row, [(10, -88.0), (10, -89.0), (10, -90.0)])
    error = math.hypot(1 / math.sqrt(3), published_tables.THEIR_ERROR)
    assert found["difference"] == pytest.approx(-89.0 + 86.76, abs=0.005)
    assert found["standard_errors"] == pytest.approx((-89.0 + 86.76) / error, abs=0.01)


@pytest.mark.parametrize("row", published_tables.ROWS, ids=lambda row: row.name)
def test_models_are_those_of_the_papers(row):
    model = published_tables.model_of(row, 784)
    optimizer = model.configure_optimizers()
    widths = [each.out_features for each in model.encoder if isinstance(each, nn.Linear)]
    if row.table == "IWAE":
        assert widths == [200, 200, 2 * row.num_latents]
        assert isinstance(model.bound, LogMeanExp if model.estimator.num_samples > 1 else Average)
        assert {(group["betas"], group["eps"]) for group in optimizer.param_groups} == {((0.99, 0.999), 1e-4)}
    else:
        assert widths == [row.num_latents]
        assert {group["betas"] for group in optimizer.param_groups} == {(0.9, 0.99999)}
