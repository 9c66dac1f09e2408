"""What a cluster of Ray is held to before anything is placed in it."""

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from reparam_suite.runtime.errors import UsageError
from reparam_suite.workers import ray_cluster
from reparam_suite.workers.ray_cluster import check_reachable, check_room


def test_workers_that_no_machine_has_room_for_are_refused():
    given = {"CPU": 1.0, "GPU": 0.25}
    check_room(given, [{"CPU": 1.0}, {"CPU": 2.0, "GPU": 1.0}])
    with pytest.raises(UsageError, match=r"--gpus-per-worker: this machine has 0 GPUs, .* got 0\.25"):
        check_room(given, [{"CPU": 2.0}])


def test_several_machines_cannot_share_a_file_of_one():
    files = {"storage": "sqlite:///mlruns/optuna.db", "tracking.uri": "sqlite:///mlruns/mlflow.db"}
    check_reachable(files, {"10.0.0.1"})
    with pytest.raises(UsageError, match=r"--storage: Ray's cluster has 2 machines \(10.0.0.1, 10.0.0.2\), expected a"):
        check_reachable(files, {"10.0.0.1", "10.0.0.2"})
    shared = files | {"storage": "postgresql://ada@db/studies"}
    with pytest.raises(UsageError, match=r"--tracking.uri: .* got the file sqlite:///mlruns/mlflow.db of one"):
        check_reachable(shared, {"10.0.0.1", "10.0.0.2"})
    check_reachable(shared | {"tracking.uri": "http://mlflow"}, {"10.0.0.1", "10.0.0.2"})


def test_ray_leaves_the_handler_of_sigterm_and_starts_outside_of_the_main_thread_as_well(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(ray_cluster.ray, "init", lambda **_: signal.signal(signal.SIGTERM, signal.SIG_IGN))
    assert ray_cluster._join_or_start()
    assert signal.getsignal(signal.SIGTERM) == before
    monkeypatch.setattr(ray_cluster.ray, "init", lambda **_: None)
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(ray_cluster._join_or_start).result()
