"""Workers and launchers that real signals end: nothing is lost, nothing counts twice."""

import os
import signal

import pytest
from tests.studies.halting import Gate
from tests.studies.launched import SPACE, Launched, check_complete, runs
from tests.studies.small import study_file

pytestmark = pytest.mark.slow


@pytest.fixture
def gate(tmp_path) -> Gate:
    return Gate(tmp_path / "gate")


def test_trials_of_what_was_killed_are_begun_again_by_its_like(tmp_path, gate):
    """A command with its workers, which the same command continues; then one worker, which is replaced."""
    root, file = tmp_path / "mlruns", study_file(tmp_path, space=SPACE, trials=3, callbacks=gate.callbacks)
    with Launched(file, root, "--workers", "2") as launched:
        launched.until_wait(gate, 2)
        launched.kill_all()
    gate.clear()
    with Launched(file, root, "--workers", "2") as launched:
        victim, *_ = launched.until_wait(gate, 2)
        gate.kill(victim)
        launched.until(lambda: f"worker {victim} was killed by SIGKILL" in launched.out)
        gate.open()
        code, _, err = launched.ended()
    assert code == 0, err
    check_complete(root, 3, 3)


def test_two_commands_that_begin_a_study_at_once_share_its_trials(tmp_path):
    root, file = tmp_path / "mlruns", study_file(tmp_path, space=SPACE, trials=4)
    with Launched(file, root) as first, Launched(file, root) as second:
        ended = [first.ended(), second.ended()]
    assert [code for code, _, _ in ended] == [0, 0], ended
    check_complete(root, 4, 0)


def test_ctrl_c_keeps_what_there_is_and_says_how_to_go_on(tmp_path, gate):
    root, file = tmp_path / "mlruns", study_file(tmp_path, space=SPACE, trials=2, callbacks=gate.callbacks)
    for workers in (2, 1):
        with Launched(file, root, "--workers", str(workers)) as launched:
            launched.until_wait(gate, workers)
            os.kill(launched.pid, signal.SIGINT)
            code, _, err = launched.ended()
        assert code == 130, err
        told = "0 of 2 trials are finished, and what was interrupted waits. To resume: python -m reparam_suite.study"
        assert told in err
        assert "Traceback" not in err
    assert [run.info.status for run in runs(root)] == ["KILLED"] * 3
    gate.open()
    with Launched(file, root) as launched:
        code, _, err = launched.ended()
    assert code == 0, err
    check_complete(root, 2, 3)
