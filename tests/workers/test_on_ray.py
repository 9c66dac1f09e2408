"""Tasks of a real Ray, started for the test."""

import os
import signal
from pathlib import Path

import pytest
import ray
from tests.launching import as_it_was

from reparam_suite.training import Stopped, StopSignals
from reparam_suite.workers.on_ray import RayEngine


def square(task, signals):
    if task == "raise":
        raise ValueError("a reason")
    if task == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getcwd() if task == "where" else task * task


@pytest.mark.slow
def test_tasks_are_done_where_there_is_room_and_those_that_fail_fail_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = str(Path(__file__).parents[2])  # where Ray's processes find this module
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]))
    tasks = [2, "raise", "die", "where", 5]
    engine = RayEngine(2, cpus=1.0, gpus=0.0, databases={})
    with as_it_was():
        ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        try:
            outcomes = {outcome.index: outcome for outcome in engine.completed(square, tasks, StopSignals())}
            stopped = StopSignals()
            stopped.received = signal.SIGTERM
            with pytest.raises(Stopped):
                list(engine.completed(square, [1], stopped))
        finally:
            ray.shutdown()
    assert [outcomes[index].value for index in (0, 3, 4)] == [4, str(tmp_path), 25], outcomes
    assert outcomes[1].error == "ValueError: a reason"
    assert outcomes[2].error.startswith("its worker died")
