"""The experiments that train: equal evaluations, the same numbers again, published schedules."""

import math

import pytest
import torch
from benchmarks.catalogue import Latents, entries
from experiments.setting import Setting
from experiments.trainings import (
    NUM_MARKS,
    Comparison,
    Curve,
    averaged,
    equal_evaluations,
    mean_and_error,
    require_success,
    trained,
)
from torch import nn
from torch.distributions import Bernoulli, Normal

from experiments import published_tables, vae_comparison
from reparam_suite import runs
from reparam_suite.estimators import Average, LogMeanExp
from reparam_suite.tracking import TrackingSettings

LATENTS = {
    "Pathwise": Latents(Normal, 2),
    "ScoreFunction, LeaveOneOut": Latents(Normal, 2),
    "DisARM": Latents(Bernoulli, 4),
}
EVALUATIONS = {"Pathwise": 1, "ScoreFunction, LeaveOneOut": 4, "DisARM": 2}


def setting(folder):
    return Setting("short", folder / "data", TrackingSettings(experiment="experiments", root=folder / "mlruns"))


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Three estimators with one seed each, trained in worker processes."""
    num_steps = equal_evaluations(LATENTS, 48)
    comparison = Comparison("some", "48", LATENTS, "Digits", num_steps, setting(tmp_path_factory.mktemp("compared")))
    return comparison, trained(comparison, 1)


@pytest.mark.parametrize("estimator", LATENTS)
def test_every_training_has_the_same_number_of_evaluations(compared, estimator):
    (curve,) = compared[1][estimator]
    assert curve.evaluations == EVALUATIONS[estimator]
    assert curve.num_steps * curve.evaluations == 48
    assert [step for step, _ in curve.elbo] == [curve.num_steps * mark // NUM_MARKS for mark in range(NUM_MARKS + 1)]
    assert curve.variance[-1][0] == curve.num_steps
    assert curve.elbo[-1][1] > curve.elbo[0][1]
    assert curve.ms_per_step > 0.0


def test_trainings_on_record_are_not_made_again(compared):
    comparison, curves = compared
    assert trained(comparison, 1) == curves
    assert len(runs(tracking=comparison.setting.tracking)) == len(LATENTS)


def test_a_training_can_be_made_again(compared, tmp_path):
    _, curves = compared
    again = Comparison("some", "48", {"Pathwise": LATENTS["Pathwise"]}, "Digits", {"Pathwise": 48}, setting(tmp_path))
    one, other = trained(again, 2)["Pathwise"]
    assert (one.elbo, one.variance) == (curves["Pathwise"][0].elbo, curves["Pathwise"][0].variance)
    assert one.elbo != other.elbo


def test_the_record_of_a_training_has_the_names_of_runs(compared):
    frame = runs(tracking=compared[0].setting.tracking)
    assert "ScoreFunction-LeaveOneOut-0-Digits" in set(frame["name"])
    assert frame["val/elbo"].notna().all()


def test_a_failed_training_is_told():
    require_success([None, float("nan")])
    with pytest.raises(RuntimeError, match="a training failed: it diverged"):
        require_success([None, "it diverged"])


def test_a_mean_of_curves_has_the_steps_of_all():
    assert averaged([[(0, 1.0), (2, 3.0), (4, 5.0)], [(0, 3.0), (4, 7.0)]]) == [(0, 2.0), (4, 6.0)]


def test_a_bound_between_two_marks_is_that_of_a_smooth_curve_through_them():
    def bound(step):
        return -30.0 + 3.0 * math.log1p(step / 40.0)

    marks = range(0, 2401, 200)
    curve = Curve(evaluations=1, ms_per_step=1.0, elbo=[(step, bound(step)) for step in marks], variance=[])
    assert [curve.elbo_at(step) for step in marks] == pytest.approx([bound(step) for step in marks])
    between = [470, 888, 1142, 2390]
    assert [curve.elbo_at(step) for step in between] == pytest.approx([bound(step) for step in between], abs=0.02)
    with pytest.raises(ValueError, match="step: expected one of the training, 0 to 2400, got 2401"):
        curve.elbo_at(2401)


def test_mean_and_error():
    assert mean_and_error([1.0, 2.0, 6.0]) == (3.0, pytest.approx(math.sqrt(7 / 3)))
    assert mean_and_error([2.0]) == (2.0, 0.0)


def test_every_estimator_of_normal_latents_that_is_compared_exists():
    assert set(vae_comparison.ESTIMATORS) <= {listed.name for listed in entries()}


def test_the_published_schedule_of_the_importance_weighted_autoencoder():
    row = published_tables.ROWS[0]
    stages = published_tables.schedule(row, "short", steps_per_epoch=5)
    assert stages == [(5, 1.0), (15, 0.72), (45, 0.52)]
    assert sum(3**stage for stage in range(published_tables.STAGES["full"])) == 3280


def test_differences_are_reported_in_standard_errors():
    row = published_tables.ROWS[0]
    found = published_tables._compared(row, [(10, -88.0), (10, -89.0), (10, -90.0)])
    error = math.hypot(1 / math.sqrt(3), published_tables.THEIR_ERROR)
    assert found["difference"] == pytest.approx(-89.0 + 86.76, abs=0.005)
    assert found["standard_errors"] == pytest.approx((-89.0 + 86.76) / error, abs=0.01)


@pytest.mark.parametrize("row", published_tables.ROWS, ids=lambda row: row.name)
def test_models_are_those_of_the_papers(row):
    model = published_tables.model_of(row, 784, published_tables.schedule(row, "short", steps_per_epoch=5))
    optimizer = model.made_optimizer()
    widths = [layer.out_features for layer in model.posterior.modules() if isinstance(layer, nn.Linear)]
    if row.table == "IWAE":
        assert widths == [200, 200, 2 * row.num_latents]
        bound = model.expectation(torch.zeros(2, 784)).bound
        assert isinstance(bound, LogMeanExp if model.estimator.num_samples > 1 else Average)
        assert {(group["betas"], group["eps"]) for group in optimizer.param_groups} == {((0.99, 0.999), 1e-4)}
        rates = model.scheduled_rates(optimizer)
        rates.load_state_dict({"last_epoch": 20})
        assert rates.get_last_lr() == [pytest.approx(5.2e-4)], "the third stage"
    else:
        assert widths == [row.num_latents]
        assert {group["betas"] for group in optimizer.param_groups} == {(0.9, 0.99999)}
