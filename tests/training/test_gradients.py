"""The variance of the gradient along training; measuring it changes nothing."""

import pytest
import torch
from tests.training.small import discrete, gaussian, seeded, trainer

from reparam_suite.data import Digits
from reparam_suite.diagnostics import gradient_statistics
from reparam_suite.diagnostics.statistics import from_draws
from reparam_suite.estimators import ExponentialDecay, GumbelSoftmax, Learned, MovingAverage, ScoreFunction
from reparam_suite.training import Checkpoints, GradientRecord, Journal, StepRecord, Validation
from reparam_suite.training.gradients import gradient_metrics, say_that_it_is_beyond

MODELS = {
    "gaussian": lambda: gaussian(),
    "moving average": lambda: discrete(estimator=ScoreFunction(baseline=MovingAverage())),
    "learned": lambda: discrete(prior="learned", estimator=ScoreFunction(baseline=Learned(hidden_sizes=(4,)))),
    "schedule": lambda: discrete(estimator=GumbelSoftmax(temperature=ExponentialDecay(start=2.0, num_steps=5))),
}


def run(name: str, every: int, max_steps: int = 8):
    model, data, journal, checkpoints = MODELS[name](), Digits(batch_size=300), Journal(), Checkpoints()
    record = StepRecord(every=3, journal=journal, checkpoints=checkpoints)
    callbacks = [
        record,
        Validation(journal=journal, record=record, checkpoints=checkpoints),
        GradientRecord(every=every, journal=journal, record=record),
    ]
    with seeded():
        used = trainer(*callbacks, max_steps=max_steps)
        used.fit(model, datamodule=data)
        end = torch.get_rng_state()
        measured = gradient_statistics(model, data.sample_batch("train"))
    return model, journal, end, measured


@pytest.mark.parametrize("name", MODELS)
def test_measuring_at_every_step_leaves_the_run_as_it_is_to_the_last_bit(name):
    often, often_journal, often_end, _ = run(name, every=1)
    seldom, seldom_journal, seldom_end, _ = run(name, every=1_000)
    assert len(often_journal.curves["grad/encoder/variance"]) == 8
    assert len(seldom_journal.curves["grad/encoder/variance"]) == 2
    assert torch.equal(often_end, seldom_end)
    for (key, value), other in zip(often.state_dict().items(), seldom.state_dict().values(), strict=True):
        assert torch.equal(value, other), key
    for metric in ("val/elbo", f"train/{often.objective_name}"):
        assert often_journal.curves[metric] == seldom_journal.curves[metric]


def test_every_part_is_recorded_at_the_first_step_every_so_many_and_the_last():
    _, journal, _, _ = run("learned", every=3)
    recorded = {name for name in journal.curves if name.startswith("grad/")}
    assert recorded == {
        f"grad/{group}/{what}"
        for group in ("encoder", "decoder", "prior", "logits")
        for what in ("variance", "variance_standard_error", "snr", "work_normalized_variance")
    } - {"grad/prior/snr"}, "the analytic divergence leaves the prior's gradient without noise"
    for name in recorded:
        assert [step for step, _ in journal.curves[name]] == [1, 3, 6, 8], name
    assert all(value > 0.0 for _, value in journal.curves["grad/encoder/variance"])


def test_the_work_normalised_variance_is_the_variance_times_the_milliseconds_recorded_once():
    _, journal, _, _ = run("learned", every=3)
    ((step, milliseconds),) = journal.curves["cost/ms_per_gradient"]
    assert step == 1
    assert milliseconds > 0.0
    assert journal.curves["cost/evaluations"] == [(1, 1)]
    assert journal.latest("cost/peak_mib") > 0.0
    for group in ("encoder", "decoder", "logits"):
        variances = journal.curves[f"grad/{group}/variance"]
        expected = [(step, pytest.approx(value * milliseconds)) for step, value in variances]
        assert journal.curves[f"grad/{group}/work_normalized_variance"] == expected


def test_a_short_run_is_measured_once():
    _, journal, _, _ = run("gaussian", every=1, max_steps=1)
    assert [step for step, _ in journal.curves["grad/encoder/variance"]] == [1]


def test_what_is_recorded_is_measured_on_the_one_fixed_batch():
    """After the last step the generator stands where the measurement found it: the same numbers come out."""
    _, journal, _, measured = run("gaussian", every=1_000)
    for group, statistics in measured.items():
        assert journal.latest(f"grad/{group}/variance") == pytest.approx(statistics.variance.item(), rel=1e-5)
        assert journal.latest(f"grad/{group}/snr") == pytest.approx(statistics.snr.item(), rel=1e-4)
        expected = pytest.approx(statistics.standard_error.item(), rel=1e-4)
        assert journal.latest(f"grad/{group}/variance_standard_error") == expected


def test_a_gradient_beyond_its_numbers_is_said_once_and_not_recorded(caplog):
    say_that_it_is_beyond.cache_clear()
    torch.manual_seed(0)
    measured = {name: from_draws([scale * torch.randn(7, 6)]) for name, scale in (("huge", 1e30), ("plain", 1.0))}
    with caplog.at_level("WARNING"):
        for _ in range(2):
            assert {name.split("/")[1] for name in gradient_metrics(measured)} == {"plain"}
    assert [record.getMessage() for record in caplog.records] == [
        "grad/huge: its size is beyond what float32 holds, and is not recorded; scale the data down"
    ]
