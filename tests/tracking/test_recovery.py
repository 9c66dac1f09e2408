"""Runs whose process is gone, and the command that delivers what they left."""

import os
import signal
import socket
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from tests.launching import compare, fit
from tests.launching import sync as sync_in
from tests.lives import Life, kill_itself

from reparam_suite import sync
from reparam_suite.tracking import Store, TrackingError, TrackingSettings, records, recovery
from reparam_suite.tracking.process import Process
from reparam_suite.tracking.records import Artifact, End, Point
from reparam_suite.tracking.spool import Spool


@pytest.fixture
def client(store) -> MlflowClient:
    return MlflowClient(f"sqlite:///{store.root.resolve()}/mlflow.db")


@pytest.fixture
def left(store, client):
    """Makes a run that is RUNNING and recorded by `process`, with points in its spool if `num` is not 0."""

    def left(process: Process, num: int = 0, *more) -> str:
        run_id = client.create_run(store.experiment_id, tags=process.tags(), run_name="left").info.run_id
        if num:
            spool = spool_of(store, run_id)
            spool.append([Point("a", float(step), 10**12 + step, step) for step in range(num)])
            spool.append(more)
            spool.close()
        return run_id

    return left


def spool_of(store, run_id) -> Spool:
    return Spool(store.root / "spool" / run_id, about={})


def told(store, **options) -> list[tuple[str, str]]:
    return [(recovered.kind, recovered.outcome) for recovered in store.recover(**options)]


def status(store, run_id) -> str:
    return store.run(run_id).info.status


def test_a_run_whose_process_is_gone_is_killed_and_its_records_are_delivered(store, left, gone):
    run_id = left(gone, 2500)
    assert told(store) == [("recovered", "left: 2500 records delivered, KILLED, since its process is gone")]
    assert store.history(run_id, "a") == [(step, float(step)) for step in range(2500)]
    run = store.run(run_id)
    assert (run.info.status, run.info.end_time) == ("KILLED", 10**12 + 2499)
    assert run.data.tags["process.end"] == f"process {gone.pid} on {gone.host} ended without notice"
    assert list((store.root / "spool").iterdir()) == []
    assert told(store) == []


def test_a_run_that_recorded_nothing_ends_when_it_began(store, left, gone):
    run_id = left(gone)
    assert told(store) == [("recovered", "left: KILLED, since its process is gone")]
    assert store.run(run_id).info.end_time == store.run(run_id).info.start_time


def test_the_end_that_a_run_has_spooled_is_its_end(store, left, gone):
    run_id = left(gone, 1, End("FINISHED", 17))
    assert told(store) == [("recovered", "left: 2 records delivered, FINISHED")]
    assert store.run(run_id).info.end_time == 17
    assert "process.end" not in store.run(run_id).data.tags


def test_what_an_ended_run_of_a_living_process_left_is_delivered(store, left):
    run_id = left(Process.this(), 1, End("FAILED", 17))
    assert told(store) == [("recovered", "left: 2 records delivered, FAILED")]
    assert status(store, run_id) == "FAILED"


def test_runs_that_live_are_left_alone(store, left):
    run = store.start_run(name="mine", parameters={}, tags={})
    run.log_metrics({"a": 1.0}, step=0)
    elsewhere = left(Process.this())  # under another root
    assert sorted(told(store)) == [
        ("left alone", f"left is running as process {os.getpid()}"),
        ("left alone", f"mine is running as process {os.getpid()}"),
    ]
    assert status(store, elsewhere) == status(store, run.run_id) == "RUNNING"
    run.close("FINISHED")
    assert store.history(run.run_id, "a") == [(0, 1.0)]


def test_whoever_holds_the_spool_lives_whatever_the_tags_say(store, left, gone):
    run_id = left(gone, 1)
    spool = spool_of(store, run_id)
    assert told(store) == [("left alone", f"left is running as process {gone.pid}")]
    spool.close()
    assert [kind for kind, _ in told(store)] == ["recovered"]


@pytest.mark.parametrize("other", [{"host": "elsewhere"}, {"namespace": "pid:[1]"}])
def test_runs_of_another_machine_are_left_alone_and_named(store, left, gone, other):
    process = replace(gone, **other)
    run_id = left(process, 1)
    message = f"left belongs to process {gone.pid} on {process.host}, which cannot be seen from here"
    assert told(store) == [("left alone", message)]
    assert status(store, run_id) == "RUNNING"
    assert spool_of(store, run_id).num_unsent == 1


def test_a_machine_that_will_not_come_back_is_named_by_the_user(store, left, gone, capsys):
    run_id = left(replace(gone, host="elsewhere"), 1)
    root = str(store.root)
    assert sync.main(["--tracking.root", root]) == 0
    assert status(store, run_id) == "RUNNING"
    assert sync.main(["--tracking.root", root, "--gone", "elsewhere"]) == 0
    assert status(store, run_id) == "KILLED"
    assert store.history(run_id, "a") == [(0, 0.0)]


def test_runs_recorded_by_something_else_are_not_ours(store, client):
    run_id = client.create_run(store.experiment_id).info.run_id
    assert told(store) == []
    assert status(store, run_id) == "RUNNING"


def test_a_run_that_the_store_does_not_have_keeps_its_spool(store, left, gone, client):
    deleted = left(gone, 1)
    client.delete_run(deleted)
    spool = Spool(store.root / "spool" / ("0" * 32), about={})
    spool.append([Point("a", 0.0, 0, 0)])
    spool.close()
    assert sorted(told(store)) == sorted(
        [
            ("left alone", f"is not in this store; its records stay in {store.root / 'spool' / ('0' * 32)}"),
            ("left alone", f"was deleted in MLflow; its records stay in {store.root / 'spool' / deleted}"),
        ]
    )
    client.restore_run(deleted)
    assert ("recovered", "left: 1 records delivered, KILLED, since its process is gone") in told(store)


def test_a_store_that_fails_in_the_middle_keeps_the_rest_for_the_next_time(store, left, gone, monkeypatch, capsys):
    run_id = left(gone, 2500)
    real, calls = MlflowClient.log_batch, []

    def log_batch(self, *arguments, **options):
        calls.append(arguments)
        if len(calls) == 2:
            raise MlflowException("(sqlite3.OperationalError) database or disk is full\n[SQL: INSERT]")
        real(self, *arguments, **options)

    monkeypatch.setattr(MlflowClient, "log_batch", log_batch)
    root = ["--tracking.root", str(store.root)]
    assert sync.main(root) == 1
    assert (
        f"{run_id}  left: 1500 of 2500 records are unsent, in {store.root}/spool/{run_id}: "
        "(sqlite3.OperationalError) database or disk is full\n"
    ) in capsys.readouterr().out
    assert status(store, run_id) == "RUNNING"
    assert sync.main(root) == 0
    assert store.history(run_id, "a") == [(step, float(step)) for step in range(2500)]
    assert status(store, run_id) == "KILLED"
    capsys.readouterr()
    assert sync.main(root) == 0
    assert capsys.readouterr().out == "nothing to send\n"


def test_a_signal_during_a_delivery_is_told_and_loses_nothing(store, left, gone, monkeypatch):
    run_id = left(gone, 3)
    real = recovery.send

    def send(to, entries):
        monkeypatch.setattr(recovery, "send", real)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(recovery, "send", send)
    ended = sync_in(root=store.root)
    assert (ended.code, ended.out) == (130, "")
    assert ended.err == "reparam_suite.sync: interrupted; what was sent is marked, and the rest is kept\n"
    assert sync_in(root=store.root).code == 0
    assert store.history(run_id, "a") == [(0, 0.0), (1, 1.0), (2, 2.0)]


def test_a_resumed_run_first_delivers_what_it_had_left(store, left, gone):
    run_id = left(gone, 3, End("KILLED", 17))
    run = store.resume_run(run_id)
    assert status(store, run_id) == "RUNNING"
    assert store.history(run_id, "a") == [(0, 0.0), (1, 1.0), (2, 2.0)]
    assert Process.of(store.run(run_id).data.tags).pid == os.getpid()
    with pytest.raises(TrackingError, match=f"run {run_id} is being recorded by another process"):
        store.resume_run(run_id)
    run.close("FINISHED")
    assert status(store, run_id) == "FINISHED"


def record_and_die(root: Path) -> None:
    run = Store.open(TrackingSettings(root=root)).start_run(name="killed", parameters={}, tags={})
    for step in range(200):
        run.log_metrics({"a": step, "b": -step}, step=step)
    kill_itself()


@pytest.mark.slow
def test_the_next_command_ends_a_run_that_was_killed(tmp_path, settings):
    assert Life.of(record_and_die, settings.root, directory=tmp_path).end() == -signal.SIGKILL
    store = Store.open(settings)
    (run,) = MlflowClient(f"sqlite:///{settings.root}/mlflow.db").search_runs([store.experiment_id])
    assert run.info.status == "RUNNING"

    both = []
    for place in (tmp_path / "first", tmp_path / "second"):
        place.mkdir()
        both.append(Life.begin(["--tracking.root", str(settings.root)], place, command="reparam_suite.sync"))
    assert [(process.end(), process.told()) for process in both] == [(0, "")] * 2
    assert sum("KILLED, since its process is gone" in process.out.read_text() for process in both) == 1
    for name, sign in (("a", 1), ("b", -1)):
        assert store.history(run.info.run_id, name) == [(step, float(sign * step)) for step in range(200)]
    run = store.run(run.info.run_id)
    assert run.info.status == "KILLED"
    assert time.time() - run.info.end_time / 1000 < 600
    assert socket.gethostname() in run.data.tags["process.end"]
    assert list((settings.root / "spool").iterdir()) == []


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_a_command_that_starts_says_what_has_become_of_earlier_runs(store, left, gone):
    for command in (partial(fit, "--trainer.max_steps=1"), partial(compare, "runs")):
        run_id = left(gone, 3)
        ended = command(root=store.root)
        assert ended.code == 0, ended.err
        assert f"earlier run {run_id}  left: 3 records delivered, KILLED, since its process is gone\n" in ended.out
        assert status(store, run_id) == "KILLED"


def test_a_file_that_cannot_be_delivered_keeps_nothing_else_back(store, left, gone, settings, monkeypatch, capsys):
    run_id = left(gone, 3, Artifact("0/a.txt", None), Artifact("1/b.txt", None), End("FINISHED", 17))
    staged = store.root / "spool" / run_id
    for number, name in enumerate("ab"):
        (staged / str(number)).mkdir()
        (staged / str(number) / f"{name}.txt").write_text(name)
    real = records.place

    def place(source, target):
        if target.name == "a.txt":
            raise PermissionError(13, "Permission denied")
        real(source, target)

    root = ["--tracking.root", str(store.root)]
    with monkeypatch.context() as patch:
        patch.setattr(records, "place", place)
        for waiting in (6, 1):
            assert sync.main(root) == 1
            told = f"{run_id}  left: 1 of {waiting} records are unsent, in {staged}: Permission denied\n"
            assert capsys.readouterr().out == told
            assert store.history(run_id, "a") == [(0, 0.0), (1, 1.0), (2, 2.0)]
            assert status(store, run_id) == "FINISHED"
        run = store.resume_run(run_id)
        with pytest.warns(UserWarning, match=r"1 records are kept in .*, 1 of them files that could not be delivered"):
            run.close("FINISHED")
    artifacts = store.root / "artifacts" / run_id / "artifacts"
    assert [path.name for path in artifacts.iterdir()] == ["b.txt"]
    assert sync.main(root) == 0
    assert capsys.readouterr().out == f"{run_id}  left: 1 records delivered, FINISHED\n"
    assert (artifacts / "a.txt").read_text() == "a"
    assert list((store.root / "spool").iterdir()) == []


def test_a_staged_file_that_is_gone_is_said_unless_it_has_arrived(store, left, gone, caplog):
    run_id = left(gone, 1, Artifact("0/a.txt", "figures"), Artifact("1/b.txt", "figures"), End("FINISHED", 17))
    arrived = store.root / "artifacts" / run_id / "artifacts" / "figures" / "a.txt"
    arrived.parent.mkdir(parents=True)
    arrived.touch()
    with caplog.at_level("WARNING"):
        assert told(store) == [("recovered", "left: 4 records delivered, FINISHED")]
    spool = store.root / "spool" / run_id
    assert [record.getMessage() for record in caplog.records] == [
        f"run {run_id}: the store rejects: {spool}/1/b.txt, to be recorded as an artifact, is gone"
    ]
    assert '"path": "1/b.txt"' in (spool / "refused.jsonl").read_text()
