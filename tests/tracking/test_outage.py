"""Stores that go away: what was logged is kept, and the run continues."""

import math
import random
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import mlflow
import pytest
import torch
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from tests.launching import mlflow_at
from torch import nn

from reparam_suite.tracking import RunLogger, Store, TrackingSettings, outbox, run_logger
from reparam_suite.tracking.records import Artifact, Destination, Point, Tags, from_line
from reparam_suite.tracking.spool import Spool

URI = "http://ada:secret@server"


def logger(client, root: Path) -> RunLogger:
    spool = Spool(root / "spool" / ("0" * 32), about={})
    return RunLogger(
        destination=Destination(client, "0" * 32, "1", "mlflow-artifacts:/1/run/artifacts", spool.directory),
        run=SimpleNamespace(info=SimpleNamespace(run_name="run"), data=SimpleNamespace(params={})),
        spool=spool,
        settings=TrackingSettings(uri=URI, root=root),
        store=URI,
    )


def entries(file: Path):
    return [from_line(line) for line in file.read_bytes().splitlines()]


class Away:
    """A client whose every call fails."""

    def __getattr__(self, name):
        def call(*_, **__):
            raise MlflowException("http://ada:secret@server: connection refused")

        return call


def test_what_could_not_be_sent_is_in_the_spool_and_a_warning_says_so(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(run_logger, "PATIENCE", 0.3)
    run = logger(Away(), tmp_path)
    run.log_metrics({"a": 1.0, "b": torch.tensor(float("nan"))}, step=3)
    run.set_tags({"tag": "value"})
    run.log_text("text", "directory/note.txt")
    run.finalize("success")
    run.log_metrics({"a": 2.0}, step=4)
    spool = tmp_path / "spool" / run.run_id
    message = (
        rf"the tracking store http://\*\*\*@server did not receive all of run {run.run_id}: 6 records are kept in "
        rf"{spool}; to send them .*: python -m reparam_suite.sync --tracking.uri 'http://\*\*\*@server' "
        rf"--tracking.root {tmp_path}"
    )
    with pytest.warns(UserWarning, match=message):
        run.close("FINISHED")
    first, second, tags, artifact, last, end = entries(spool / "unsent.jsonl")
    assert (first.key, first.value, first.step) == ("a", 1.0, 3)
    assert math.isnan(second.value)
    assert first.timestamp > 0
    assert tags == Tags({"tag": "value"})
    assert (spool / artifact.path).read_text() == "text"
    assert artifact.directory == "directory"
    assert (last.value, last.step) == (2.0, 4)
    assert end.status == "FINISHED"
    everything = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert "secret" not in caplog.text + everything
    run.close("FINISHED")  # nothing is left to say


def test_a_second_process_adds_to_the_spool(tmp_path, monkeypatch):
    monkeypatch.setattr(run_logger, "PATIENCE", 0.1)
    for step in range(2):
        run = logger(Away(), tmp_path)
        run.log_metrics({"a": 1.0}, step=step)
        run.log_text("text", "note.txt")
        with pytest.warns(UserWarning, match=f"{3 * step + 3} records are kept"):
            run.close("FAILED")
    told = entries(tmp_path / "spool" / run.run_id / "unsent.jsonl")
    assert [entry.step for entry in told if isinstance(entry, Point)] == [0, 1]
    assert len({entry.path for entry in told if isinstance(entry, Artifact)}) == 2


def test_a_point_whose_answer_was_lost_is_stored_once(store, monkeypatch):
    monkeypatch.setattr(outbox, "_FIRST_PAUSE", 0.01)
    run = store.start_run(name="run", parameters={}, tags={})
    real, lost = MlflowClient.log_batch, []

    def log_batch(self, *arguments, **options):
        real(self, *arguments, **options)
        if len(lost) < 2:
            lost.append(arguments)
            raise MlflowException("connection reset")

    monkeypatch.setattr(MlflowClient, "log_batch", log_batch)
    for step in range(10):
        run.log_metrics({"a": step, "b": float("nan")}, step=step)
    run.close("FINISHED")
    assert len(lost) == 2
    assert store.history(run.run_id, "a") == [(step, float(step)) for step in range(10)]
    assert len(store.history(run.run_id, "b")) == 10


def test_a_refused_tag_keeps_the_rest_from_nothing(store):
    run = store.start_run(name="run", parameters={}, tags={})
    run.set_tags({"/not allowed": "x"})
    run.log_metrics({"a": 1.0}, step=0)
    with pytest.warns(UserWarning, match=r"refused 1 records of run .*; they are kept in .*refused\.jsonl"):
        run.close("FINISHED")
    assert entries(store.root / "spool" / run.run_id / "refused.jsonl") == [Tags({"/not allowed": "x"})]
    assert store.history(run.run_id, "a") == [(0, 1.0)]
    assert store.run(run.run_id).info.status == "FINISHED"


def test_failures_of_a_server_do_not_touch_the_random_state(tmp_path, monkeypatch, free_port):
    monkeypatch.setattr(run_logger, "PATIENCE", 1.0)
    run = logger(MlflowClient(f"http://127.0.0.1:{free_port}"), tmp_path)
    before = random.getstate()
    run.log_metrics({"a": 1.0}, step=0)
    with pytest.warns(UserWarning, match="2 records are kept"):
        run.close("FINISHED")
    assert random.getstate() == before


@pytest.fixture
def server(tmp_path, database, serve):
    directory = tmp_path / "server"
    directory.mkdir()
    shutil.copy(database, directory / "mlflow.db")
    return serve(
        f"DO_NOT_TRACK=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false {sys.executable} -m mlflow server --workers 1 "
        f"--backend-store-uri sqlite:///{directory}/mlflow.db --artifacts-destination {directory}/artifacts"
    )


@pytest.mark.slow
def test_a_real_server_takes_everything_dies_and_comes_back(server, tmp_path, monkeypatch, capfd):
    store = Store.open(TrackingSettings(uri=server.uri, root=tmp_path / "mlruns"))
    assert store.ui_command.startswith(f"python -m reparam_suite.ui --tracking.uri {server.uri}")
    run = store.start_run(name="run", parameters={"a": {"b": 1}}, tags={"model": "linear"}, config_file="a: 1\n")
    assert run.artifact_dir is None
    module = nn.Linear(4, 2)
    run.log_model(module, torch.ones(3, 4))
    for step in range(600):
        run.log_metrics({"x": step, "y": -step}, step=step)
    assert run.flush(300)

    server.kill()
    for step in range(600, 700):
        run.log_metrics({"x": step, "y": -step}, step=step)
    run.log_text("written while it was away", "late.txt")
    assert not run.flush(1)
    server.start()
    assert run.flush(300)
    run.close("FINISHED")
    assert "Traceback" not in capfd.readouterr().err

    for name, sign in (("x", 1), ("y", -1)):
        assert store.history(run.run_id, name) == [(step, float(sign * step)) for step in range(700)]
    recorded = store.run(run.run_id)
    assert recorded.info.status == "FINISHED"
    assert recorded.data.params == {"a.b": "1"}
    assert recorded.data.tags["model"] == "linear"
    client = MlflowClient(server.uri)
    assert sorted(file.path for file in client.list_artifacts(run.run_id)) == ["config.yaml", "late.txt"]
    with mlflow_at(server.uri):
        loaded = mlflow.pytorch.load_model(f"runs:/{run.run_id}/model")
    x = torch.rand(5, 4)
    torch.testing.assert_close(loaded(x), module(x), rtol=0, atol=0)
    assert list((tmp_path / "mlruns/spool").iterdir()) == []

    gone = store.start_run(name="gone", parameters={}, tags={})
    server.kill()
    gone.log_metrics({"x": 1.0}, step=0)
    monkeypatch.setattr(run_logger, "PATIENCE", 1.0)
    with pytest.warns(UserWarning, match=rf"2 records are kept in .*{gone.run_id}"):
        gone.close("FINISHED")
