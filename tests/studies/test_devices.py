"""Trials that train on several devices each: processes of one machine, here."""

import pytest
from tests.launching import study
from tests.lives import Life
from tests.studies.small import study_file

GLOO = {"trainer.accelerator": "cpu", "trainer.devices": 2, "trainer.strategy": "ddp"}


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_a_trial_of_two_processes_is_the_run_that_fit_makes_of_two(tmp_path):
    space = {"model.learning_rate": {"log_float": [1e-3, 1e-1]}}
    file = study_file(tmp_path, space=space, options=GLOO, trials=1)
    ended = study("--config", file, root=tmp_path / "mlruns")
    assert ended.code == 0, ended.err
    (trial,) = [run for run in ended.every_run("small") if run.data.tags["study.run"] == "trial"]
    assert (trial.info.status, trial.data.tags["num_processes"]) == ("FINISHED", "2")
    assert "test/elbo" in ended.run.data.metrics  # of the summary, on one device
    same = ["--config", str(ended.artifacts() / "best.yaml"), "--record.test_data", "0"]
    root = tmp_path / "again"
    again = Life.begin([*same, "--tracking.root", str(root)], tmp_path, num_further=1).ended(root)
    assert again.code == 0, again.err
    for metric in ("val/elbo", "train/elbo"):
        assert ended.curve(metric, trial.info.run_id) == again.curve(metric) != []
