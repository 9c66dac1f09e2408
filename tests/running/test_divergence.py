"""Training that has diverged though its numbers are finite: said in one line, tagged, and shown in a few digits."""

import math

import pytest
from tests.launching import Ended, fit

from reparam_suite.running.divergence import divergence
from reparam_suite.training import Journal


def journal(**curves) -> Journal:
    made = Journal()
    for name, values in curves.items():
        for step, value in values.items():
            made.write({name.replace("__", "/"): value}, step)
    return made


@pytest.mark.parametrize(
    ("curves", "monitor", "told"),
    [
        ({"train__elbo": {1: -40.0, 100: -20.0, 200: -15.0}}, "val/elbo", None),
        ({"train__elbo": {1: -1e7, 100: 20.0, 200: -900.0}}, None, None),
        ({"train__elbo": {1: -40.0, 100: -1e9, 200: -30.0}}, None, None),
        (
            {"train__elbo": {1: -40.0, 10: -1e8, 20: -2e35}, "val__elbo": {0: -41.0, 13: -39.0, 20: -1e30},
             "val__elbo_best_step": {13: 13.0}},
            "val/elbo",
            "diverged at step 10: train/elbo is -2e+35 at the end, the best weights are those of step 13",
        ),
        ({"val__loss": {0: 1.0, 5: 1e9}}, "-val/loss", "diverged at step 5: val/loss is 1e+09 at the end"),
        ({"val__elbo": {0: -1.0, 5: math.nan}}, "val/elbo", "diverged at step 5: val/elbo is nan at the end"),
        ({"train__loss": {1: 3.0, 9: math.inf}}, None, "diverged at step 9: train/loss is inf at the end"),
    ],
    ids=["rises", "from far below", "comes back", "both", "smallest is best", "not a number", "infinite"],
)  # fmt: skip
def test_a_curve_has_diverged_if_it_ends_far_below_its_best(curves, monitor, told):
    found = divergence(journal(**curves), monitor)
    assert (None if found is None else str(found)) == told


@pytest.fixture(scope="module")
def diverged(tmp_path_factory) -> Ended:
    short = ["--trainer.max_steps", "30", "--record.test_samples", "200", "--model.hidden_sizes", "[16]"]
    return fit(*short, "--model.learning_rate", "1e4", root=tmp_path_factory.mktemp("diverged") / "mlruns")


def test_a_run_that_has_diverged_says_so_in_one_line_and_has_a_tag(diverged):
    assert diverged.code == 0
    run = diverged.run
    step = run.data.tags["diverged"].removeprefix("step ")
    last = run.data.metrics["val/elbo"]
    assert diverged.err == (
        f"reparam_suite.fit: run {run.info.run_id}: diverged at step {step}: val/elbo is {last:.3g} at the end, "
        "the best weights are those of step 13\n"
    )
    assert last < -1e6


def test_its_numbers_are_shown_in_scientific_form(diverged):
    (line,) = [line for line in diverged.out.splitlines() if "last validation ELBO" in line]
    assert f"{diverged.run.data.metrics['val/elbo']:.3g}" in line
    assert all(len(word) < 20 for word in line.split())
