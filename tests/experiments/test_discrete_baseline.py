"""The comparison of discrete estimators, small: two budgets, and what an estimator learns is trained first."""

import pytest
from benchmarks.catalogue import entries
from experiments.setting import Setting
from experiments.trainings import evaluations

from experiments import discrete_baseline
from reparam_suite.estimators import Average
from reparam_suite.tracking import TrackingSettings

BITS, CLASSES = discrete_baseline.BITS, discrete_baseline.CLASSES
COMPARED = {
    "DisARM": BITS,
    "GumbelSoftmax": BITS,
    "ScoreFunction, MovingAverage": BITS,
    "ARSM": CLASSES,
}
BUDGET = discrete_baseline.TwoBudgets(evaluations=60, seconds=0.1)


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    """The numbers of a small comparison."""
    folder = tmp_path_factory.mktemp("discrete")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(discrete_baseline, "fitting", lambda: COMPARED)
        patched.setattr(discrete_baseline, "BUDGETS", {"short": BUDGET})
        for name, value in {"NUM_SEEDS": 2, "CHECKPOINT_STEPS": 20, "LEARNING_STEPS": 20}.items():
            patched.setattr(discrete_baseline, name, value)
        tracking = TrackingSettings(experiment="experiments", root=folder / "mlruns")
        findings = discrete_baseline.answer(Setting("short", folder / "data", tracking))
    assert len(findings.rows) == len(COMPARED)
    findings.figure.savefig(folder / "figure.png")
    return findings.numbers


def rows(numbers):
    return {name: row for name, row in numbers.items() if isinstance(row, dict)}


def test_every_estimator_has_both_budgets(numbers):
    assert len(rows(numbers)) == len(COMPARED)
    assert (numbers["budget"], numbers["seconds"], numbers["seeds"]) == (60, 0.1, 2)
    for name, row in rows(numbers).items():
        assert row["steps"] == 60 // row["evaluations"], name
        assert row["steps_in_time"] == pytest.approx(1e3 * BUDGET.seconds / row["ms"], rel=0.02, abs=0.5), name
        assert row["elbo"] < 0.0, name
        assert row["elbo_in_time"] < 0.0, name


def test_what_an_estimator_remembers_is_there_before_it_is_measured(numbers):
    row = rows(numbers)["ScoreFunction_MovingAverage"]
    assert row["variance"] < 0.5 * row["untrained_variance"]
    assert [name for name, other in rows(numbers).items() if other["learns"]] == ["ScoreFunction_MovingAverage"]


def test_a_later_call_has_the_steps_of_the_first_which_may_have_had_other_times(tmp_path):
    first = discrete_baseline.steps_in_time({"DisARM": 2.0, "ARM": 4.0}, BUDGET, tmp_path)
    assert first == {"DisARM": 50, "ARM": 25}
    again = discrete_baseline.steps_in_time({"DisARM": 3.0, "ARM": 9.0, "REBAR": 5.0}, BUDGET, tmp_path)
    assert again == first | {"REBAR": 20}


def test_an_unbiased_estimator_has_no_bias_to_report(numbers):
    biased = {name: row["relative_bias"] for name, row in rows(numbers).items() if row["relative_bias"] is not None}
    assert biased.keys() == {"GumbelSoftmax"}
    assert biased["GumbelSoftmax"] > 0.05
    assert {name for name, row in rows(numbers).items() if row["relative_bias_below"]} == rows(numbers).keys() - biased


def test_every_discrete_estimator_is_compared():
    examples = [BITS.example(), CLASSES.example()]
    discrete = {
        listed.name
        for listed in entries()
        if any(listed.at_defaults.fits(q) is None for q in examples) and Average in listed.bounds()
    }
    assert set(discrete_baseline.fitting()) == discrete
    assert {evaluations(name, latents) for name, latents in discrete_baseline.fitting().items()} >= {1, 2, 256}
