"""`compare gradients` from the command line to the record, on a run of a few steps."""

import os
import signal
from itertools import islice

import pytest
from tests.comparison.small import NAMES, QUICK, RLOO_NAME, best, written
from tests.launching import compare

from reparam_suite.comparison import comparisons, gradients
from reparam_suite.data import Digits
from reparam_suite.estimators import DisARM, LeaveOneOut, ScoreFunction, StraightThrough
from reparam_suite.models import DiscreteVAE
from reparam_suite.runtime.random_streams import forked_generator


def test_the_numbers_are_those_of_python_on_the_same_parameters_and_minibatches(trained, compared):
    model = DiscreteVAE.load_from_checkpoint(best(trained))
    data = Digits()
    data.setup()
    data.begin(0)
    batches = list(islice(data.train_dataloader(), 2))
    estimators = [DisARM(), ScoreFunction(num_samples=4, baseline=LeaveOneOut()), StraightThrough()]
    with forked_generator(batches[0].device, 0):
        *_, comparison = comparisons(model, batches, estimators, num_repeats=32)
    found = {record["estimator"]: record for record in written(compared)["rows"]}
    assert set(found) == {row.name for row in comparison.rows}
    for row in comparison.rows:
        for key, value in row.figures().items():
            timed = key in ("milliseconds", "peak_bytes") or key.endswith("work_normalized_variance")
            if not timed and found[row.name][key] is not None:
                assert found[row.name][key] == value, f"{key} of {row.name}"
    # Six bits can be enumerated: the reference is exact.
    assert written(compared)["reference"] == comparison.reference == "Enumeration()"
    assert set(written(compared)["reference_relative_error"].values()) == {0.0}


def test_another_group_may_order_it(trained):
    args = ("--checkpoint", trained.run_ids[0], *QUICK, "--estimators", *NAMES, "--order_by", "logits")
    ended = compare("gradients", *args, root=trained.root)
    assert ended.code == 0, ended.err
    products = [row["logits/work_normalized_variance"] for row in written(ended)["rows"]]
    assert products == sorted(products)
    assert "Gradient with respect to logits" in ended.out


def test_a_checkpoint_file_is_measured_as_its_run_is(trained, compared):
    args = ("--checkpoint", str(best(trained)), *QUICK, "--estimators", "DisARM")
    ended = compare("gradients", *args, root=trained.root)
    assert ended.code == 0, ended.err
    (alone,) = written(ended)["rows"]
    beside = next(row for row in written(compared)["rows"] if row["estimator"] == "DisARM()")
    assert alone["encoder/variance"] == beside["encoder/variance"], "whatever else is measured"
    assert ended.run.data.tags["measured.checkpoint"] == str(best(trained))


def test_the_record_is_a_run_of_its_own_that_names_the_one_it_measured(trained, compared):
    run, measured = compared.run, trained.run
    assert run.info.experiment_id == measured.info.experiment_id
    assert run.info.run_name == f"gradients-{measured.info.run_name}"
    assert run.info.status == "FINISHED"
    tags = run.data.tags
    assert tags["comparison"] == "gradients"
    assert tags["measured.run_id"] == measured.info.run_id
    assert tags["model"] == "DiscreteVAE"
    assert run.data.params["estimators"] == ", ".join(NAMES)
    assert run.data.params["repeats"] == "32"
    assert run.inputs.dataset_inputs[0].dataset.digest == measured.inputs.dataset_inputs[0].dataset.digest
    assert (compared.artifacts() / "figures" / "gradient_cost.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_is_found_by_its_name(trained):
    name = trained.run.info.run_name
    ended = compare("gradients", "--checkpoint", name, *QUICK, "--estimators", "DisARM", root=trained.root)
    assert ended.code == 0, ended.err
    assert ended.run.data.tags["measured.run_id"] == trained.run_ids[0]


def test_an_interruption_keeps_what_was_measured(trained, monkeypatch):
    def interrupted(*args, **kwargs):
        measured = comparisons(*args, **kwargs)
        yield next(measured)
        yield next(measured)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(gradients, "comparisons", interrupted)
    args = ("--checkpoint", trained.run_ids[0], *QUICK, "--estimators", *NAMES)
    ended = compare("gradients", *args, root=trained.root)
    assert ended.code == 130
    assert ended.err == "reparam_suite.compare: interrupted; what had been measured until then is recorded\n"
    assert ended.run.info.status == "KILLED"
    assert [row["estimator"] for row in written(ended)["rows"]] == ["DisARM()"]
    assert "2 of 3 estimators were not measured" in ended.out
    assert (ended.artifacts() / "figures" / "gradient_cost.png").exists()


@pytest.mark.slow
def test_all_measures_what_fits_and_tells_why_the_rest_does_not(trained):
    ended = compare("gradients", "--checkpoint", trained.run_ids[0], *QUICK, root=trained.root)
    assert ended.code == 0, ended.err
    names = {row["estimator"] for row in written(ended)["rows"]}
    assert {
        "DisARM()",
        RLOO_NAME,
        "ScoreFunction()",
        "ScoreFunction(baseline=Learned())",
        "Enumeration()",
        "REBAR()",
    } <= names
    assert "left out   Pathwise(): Pathwise: " in ended.out
    assert f"{RLOO_NAME} (of the checkpoint)" in ended.out
    assert "REBAR()*" in ended.out
    assert "StraightThrough()†" in ended.out
    exact = next(row for row in written(ended)["rows"] if row["estimator"] == "Enumeration()")
    assert exact["encoder/variance"] == pytest.approx(0.0, abs=1e-10)


def test_what_is_learned_is_trained_first_with_its_cost_on_record(trained):
    few = ("--repeats", "32", "--batches", "1", "--train_steps", "3", "--estimators", "REBAR", "DisARM")
    ended = compare("gradients", "--checkpoint", trained.run_ids[0], *few, root=trained.root)
    assert ended.code == 0, ended.err
    assert "untrained" in ended.out
    assert "trained    REBAR(): 3 steps on the frozen model, " in ended.out
    assert "REBAR()*" not in ended.out
    rows = {row["estimator"]: row for row in written(ended)["rows"]}
    assert rows["REBAR()"]["learned_parts"] == "trained here"
    assert rows["REBAR()"]["encoder/untrained_variance"] > 0.0
    assert (rows["REBAR()"]["training_steps"], rows["DisARM()"]["training_steps"]) == (3, 0)
    assert rows["DisARM()"]["encoder/untrained_variance"] is None
    assert rows["DisARM()"]["encoder/relative_bias"] is None
    assert rows["DisARM()"]["encoder/relative_bias_below"] > 0.0
