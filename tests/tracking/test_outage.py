"""Stores that go away: what was logged is kept, and the run goes on."""

import json
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
from torch import nn

from reparam_suite.tracking import RunLogger, Store, TrackingSettings, outbox, run_logger
from reparam_suite.tracking.records import Destination


def logger(client, root: Path) -> RunLogger:
    return RunLogger(
        destination=Destination(client, "0" * 32, "1", "mlflow-artifacts:/1/run/artifacts"),
        run=SimpleNamespace(info=SimpleNamespace(run_name="run"), data=SimpleNamespace(params={})),
        experiment="tests",
        store="http://ada:secret@server",
        root=root,
    )


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
    spool = tmp_path / "spool" / f"{run.run_id}.jsonl"
    message = rf"the tracking store http://\*\*\*@server did not take all .*: 6 records are kept in {spool}"
    with pytest.warns(UserWarning, match=message):
        run.close("FINISHED")
    lines = [json.loads(line) for line in spool.read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["Point", "Point", "Tags", "Artifact", "Point", "End"]
    assert {line["run_id"] for line in lines} == {run.run_id}
    assert (lines[0]["key"], lines[0]["value"], lines[0]["step"]) == ("a", 1.0, 3)
    assert lines[0]["timestamp"] > 0
    assert lines[-1]["status"] == "FINISHED"
    assert Path(lines[3]["path"]).read_text() == "text"
    assert lines[3]["directory"] == "directory"
    assert "secret" not in caplog.text + spool.read_text()
    run.close("FINISHED")  # nothing is left to say


def test_a_second_process_adds_to_the_spool(tmp_path, monkeypatch):
    monkeypatch.setattr(run_logger, "PATIENCE", 0.1)
    for step in range(2):
        run = logger(Away(), tmp_path)
        run.log_metrics({"a": 1.0}, step=step)
        run.log_text("text", "note.txt")
        with pytest.warns(UserWarning, match="3 records are kept"):
            run.close("FAILED")
    lines = [json.loads(line) for line in (tmp_path / "spool" / f"{run.run_id}.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["kind"] == "Point"] == [0, 1]
    assert len({line["path"] for line in lines if line["kind"] == "Artifact"}) == 2


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


def test_a_refused_tag_keeps_the_rest_from_nothing(store, monkeypatch):
    run = store.start_run(name="run", parameters={}, tags={})
    run.set_tags({"/not allowed": "x"})
    run.log_metrics({"a": 1.0}, step=0)
    with pytest.warns(UserWarning, match="1 records are kept"):
        run.close("FINISHED")
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
    assert store.ui_command == server.uri
    run = store.start_run(name="run", parameters={"a": {"b": 1}}, tags={"model": "linear"}, config_file="a: 1\n")
    assert run.artifact_dir is None
    module = nn.Linear(4, 2)
    run.log_model(module, torch.ones(3, 4))
    for step in range(600):
        run.log_metrics({"x": step, "y": -step}, step=step)
    assert run.flush(60)

    server.kill()
    for step in range(600, 700):
        run.log_metrics({"x": step, "y": -step}, step=step)
    run.log_text("written while it was away", "late.txt")
    assert not run.flush(1)
    server.start()
    assert run.flush(60)
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
    mlflow.set_tracking_uri(server.uri)
    loaded = mlflow.pytorch.load_model(f"runs:/{run.run_id}/model")
    x = torch.rand(5, 4)
    torch.testing.assert_close(loaded(x), module(x), rtol=0, atol=0)
    assert list((tmp_path / "mlruns/spool").iterdir()) == []

    gone = store.start_run(name="gone", parameters={}, tags={})
    server.kill()
    gone.log_metrics({"x": 1.0}, step=0)
    monkeypatch.setattr(run_logger, "PATIENCE", 1.0)
    with pytest.warns(UserWarning, match=rf"2 records are kept in .*{gone.run_id}\.jsonl"):
        gone.close("FINISHED")
