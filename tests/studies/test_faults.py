"""Workers and launchers that real signals end: nothing is lost, nothing counts twice."""

import os
import signal

import optuna
import pytest
from tests.studies.launched import SPACE, Launched, check_complete, runs, until
from tests.studies.small import study_file

pytestmark = pytest.mark.slow


def test_one_of_four_workers_is_killed_and_its_trial_is_begun_again(tmp_path):
    file = study_file(tmp_path, space=SPACE, trials=6, budget={"steps": 1200})
    with Launched(file, tmp_path / "mlruns", "--workers", "4") as launched:
        (victim, *_) = until(launched.running, launched)
        os.kill(int(victim.data.tags["process.pid"]), signal.SIGKILL)
        code, out, err = launched.ended()
    assert code == 0, err
    assert f"worker {victim.data.tags['process.pid']} was killed by SIGKILL" in out
    check_complete(tmp_path / "mlruns", 6, 1)


def test_after_all_are_killed_the_same_command_continues(tmp_path):
    file = study_file(tmp_path, space=SPACE, trials=3, budget={"steps": 1200})
    with Launched(file, tmp_path / "mlruns", "--workers", "2") as launched:
        num_running = len(until(launched.running, launched))
        launched.kill_all()
    assert num_running >= 1
    with Launched(file, tmp_path / "mlruns", "--workers", "2") as launched:
        code, _, err = launched.ended()
    assert code == 0, err
    trials = optuna.load_study(study_name="small", storage=f"sqlite:///{tmp_path}/mlruns/optuna.db").trials
    check_complete(tmp_path / "mlruns", 3, len(trials) - 3)
    assert len(trials) - 3 >= num_running


def test_two_commands_that_begin_a_study_at_once_share_its_trials(tmp_path):
    root, file = tmp_path / "mlruns", study_file(tmp_path, space=SPACE, trials=4, budget={"steps": 60})
    with Launched(file, root) as first, Launched(file, root) as second:
        ended = [first.ended(), second.ended()]
    assert [code for code, _, _ in ended] == [0, 0], ended
    check_complete(root, 4, 0)


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_keeps_what_there_is_and_says_how_to_go_on(tmp_path, workers):
    file = study_file(tmp_path, space=SPACE, trials=2, budget={"steps": 1200})
    with Launched(file, tmp_path / "mlruns", "--workers", str(workers)) as launched:
        until(launched.running, launched)
        os.kill(launched.pid, signal.SIGINT)
        code, _, err = launched.ended()
    assert code == 130, err
    assert "of 2 trials are finished, and what was interrupted waits. To resume: python -m reparam_suite.study" in err
    assert "Traceback" not in err
    assert {run.info.status for run in runs(tmp_path / "mlruns")} <= {"KILLED", "FINISHED"}
    with Launched(file, tmp_path / "mlruns") as launched:
        code, _, err = launched.ended()
    assert code == 0, err
    trials = optuna.load_study(study_name="small", storage=f"sqlite:///{tmp_path}/mlruns/optuna.db").trials
    check_complete(tmp_path / "mlruns", 2, len(trials) - 2)
