import json
import math
import random
import subprocess
import sys
from argparse import Namespace

import mlflow
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from mlflow import MlflowClient
from tests.launching import mlflow_at
from torch import nn

from reparam_suite.tracking import run_logger


@pytest.fixture
def client(store) -> MlflowClient:
    return MlflowClient(f"sqlite:///{store.root.resolve()}/mlflow.db")


class Coder(nn.Module):
    """x [B, 6] -> parameters of q and pixel probabilities."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 4))
        self.decoder = nn.Linear(2, 6)

    def forward(self, x):
        loc, log_scale = self.encoder(x).chunk(2, dim=-1)
        return {"loc": loc, "scale": log_scale.exp(), "probs": self.decoder(loc).sigmoid()}


def test_metrics_arrive_in_order_with_their_steps(run, store, client):
    for step in range(5):
        run.log_metrics({"train/elbo": -float(step), "epoch": torch.tensor(2.0)}, step=step)
    assert run.flush(300)
    points = client.get_metric_history(run.run_id, "train/elbo")
    assert [(point.step, point.value) for point in points] == [(step, -float(step)) for step in range(5)]
    assert sorted(point.timestamp for point in points) == [point.timestamp for point in points]
    assert store.history(run.run_id, "epoch") == [(step, 2.0) for step in range(5)]


def test_a_metric_has_the_time_at_which_it_was_logged(run, client, monkeypatch):
    monkeypatch.setattr(run_logger.time, "time", lambda: 1234.5)
    run.log_metrics({"a": 1.0}, step=0)
    monkeypatch.undo()
    assert run.flush(300)
    assert client.get_metric_history(run.run_id, "a")[0].timestamp == 1234500


def test_nan_stays_and_infinity_is_the_largest_number(run, store):
    run.log_metrics({"nan": math.nan, "inf": math.inf, "minus_inf": -math.inf}, step=1)
    assert run.flush(300)
    assert math.isnan(store.history(run.run_id, "nan")[0][1])
    assert store.history(run.run_id, "inf") == [(1, sys.float_info.max)]
    assert store.history(run.run_id, "minus_inf") == [(1, -sys.float_info.max)]


def test_thousands_of_metrics_are_sent_completely(run, store):
    for step in range(700):
        run.log_metrics(dict.fromkeys("abc", step), step=step)
    assert run.flush(300)
    for name in "abc":
        assert store.history(run.run_id, name) == [(step, float(step)) for step in range(700)]


@pytest.mark.parametrize("name", ["", "../a", "/a", "a//b", "a,b", "x" * 251])
def test_a_metric_name_that_mlflow_refuses_is_refused_at_the_call(run, name):
    with pytest.raises(ValueError, match="name of a metric: expected at most 250 letters"):
        run.log_metrics({name: 1.0}, step=0)


def test_parameters_are_flat_cut_and_may_change(run, client):
    run.log_hyperparams({"model": {"latents": 5, "sizes": [200, 200], "prior": {}}, "long": "x" * 7000})
    run.log_hyperparams(Namespace(model={"latents": 6}, other=None))
    assert run.flush(300)
    data = client.get_run(run.run_id).data
    assert data.params == {
        "model.latents": "5",
        "model.sizes": "[200, 200]",
        "model.prior": "{}",
        "long": "x" * 5997 + "...",
        "other": "None",
    }
    assert data.tags["changed.model.latents"] == "6"


def test_more_parameters_than_fit_into_a_call(store, client):
    parameters = {f"p{index}": index for index in range(250)}
    run = store.start_run(name="run", parameters=parameters, tags={f"t{index}": "" for index in range(150)})
    run.close("FINISHED")
    data = client.get_run(run.run_id).data
    assert data.params == {name: str(value) for name, value in parameters.items()}
    assert {f"t{index}" for index in range(150)} <= set(data.tags)


def test_artifacts_of_every_kind(run, tmp_path):
    file = tmp_path / "last.ckpt"
    file.write_bytes(b"first")
    run.log_artifact(file, "checkpoints")
    file.write_bytes(b"second")  # after the call: the first is what was logged
    run.log_text("a: 1\n", "config.yaml")
    run.log_dict({"a": 1}, "tables/result")
    figure = Figure()
    figure.subplots().plot([0, 1])
    run.log_figure(figure, "figures/variance")
    run.log_arrays({"encoder/0.weight": torch.eye(2, requires_grad=True)}, "arrays/step_1")
    assert run.flush(300)
    assert (run.artifact_dir / "checkpoints/last.ckpt").read_bytes() == b"first"
    assert (run.artifact_dir / "config.yaml").read_text() == "a: 1\n"
    assert json.loads((run.artifact_dir / "tables/result.json").read_text()) == {"a": 1}
    assert (run.artifact_dir / "figures/variance.png").read_bytes().startswith(b"\x89PNG")
    with np.load(run.artifact_dir / "arrays/step_1.npz") as arrays:
        np.testing.assert_array_equal(arrays["encoder/0.weight"], np.eye(2))
    run.close("FINISHED")
    assert list((run.artifact_dir.parents[2] / "spool").iterdir()) == []


def test_a_figure_of_pyplot_is_closed(run):
    figure = plt.figure()
    run.log_figure(figure, "figure")
    assert not plt.fignum_exists(figure.number)


def test_an_artifact_of_the_same_name_replaces_the_one_before(run):
    run.log_text("one", "a.txt")
    run.log_text("two", "a.txt")
    assert run.flush(300)
    assert (run.artifact_dir / "a.txt").read_text() == "two"


def test_an_artifact_has_its_name_only_when_complete(run, monkeypatch):
    # As on another file system, where it must be copied; the copy breaks off.
    real = run_logger.os.replace

    def replace(source, target):
        if "incomplete" not in str(source):
            raise OSError("Invalid cross-device link")
        real(source, target)

    def copy(source, target):
        target.write_text("ha")
        raise OSError("No space left on device")

    monkeypatch.setattr("reparam_suite.tracking.staging.os.replace", replace)
    with monkeypatch.context() as patch:
        patch.setattr("reparam_suite.tracking.staging.shutil.copy2", copy)
        run.log_text("half or whole", "a.txt")
        assert not run.flush(0.5)
        assert not (run.artifact_dir / "a.txt").exists()
    assert run.flush(300)
    assert [path.name for path in run.artifact_dir.iterdir()] == ["a.txt"]
    assert (run.artifact_dir / "a.txt").read_text() == "half or whole"


@pytest.mark.parametrize("name", ["", "/a", "../a", "a/../../b"])
def test_an_artifact_stays_inside_its_run(run, name):
    with pytest.raises(ValueError, match="relative path"):
        run.log_text("", name)


def test_a_file_that_is_not_there_is_an_error(run, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*missing\.png"):
        run.log_artifact(tmp_path / "missing.png")


def test_dataset(run, client):
    run.log_dataset("Digits", "0123456789abcdef", "sklearn.datasets", {"train": 1000, "test": 100}, "training")
    assert run.flush(300)
    (entry,) = client.get_run(run.run_id).inputs.dataset_inputs
    assert (entry.dataset.name, entry.dataset.digest) == ("Digits", "0123456789abcdef")
    assert json.loads(entry.dataset.profile) == {"train": 1000, "test": 100}
    assert [(tag.key, tag.value) for tag in entry.tags] == [("mlflow.data.context", "training")]


@pytest.mark.parametrize("batch", [1, 7])
def test_model_is_reloaded_without_pickle_for_any_batch_size(run, client, capfd, batch):
    module = Coder().train()
    run.log_model(module, torch.rand(batch, 6))
    assert module.training
    assert module.encoder[1].training
    assert run.flush(300)
    printed = capfd.readouterr()
    assert printed.out == printed.err == ""

    uri = f"runs:/{run.run_id}/model"
    with mlflow_at(client.tracking_uri):
        loaded = mlflow.pytorch.load_model(uri)
        info = mlflow.models.get_model_info(uri)
    module.eval()
    for num in (1, 3, 20):
        x = torch.rand(num, 6)
        torch.testing.assert_close(dict(loaded(x)), module(x), rtol=0, atol=0)
    assert info.metadata == {"input": "x of numbers of any type, [B, 6] or [6]"}
    assert info.signature.outputs.input_names() == ["loc", "scale", "probs"]
    assert sorted(info.flavors) == ["python_function", "pytorch"]
    assert info.saved_input_example_info is not None
    (model,) = client.search_logged_models([run.experiment_id], filter_string=f"source_run_id='{run.run_id}'")
    assert (model.name, model.status) == ("model", "READY")
    assert [output.model_id for output in client.get_run(run.run_id).outputs.model_outputs] == [model.model_id]


def test_model_with_one_output_serves_as_a_pyfunc_too(run, client):
    module = nn.Linear(6, 2)
    run.log_model(module, torch.rand(4, 6), name="linear")
    assert run.flush(300)
    with mlflow_at(client.tracking_uri):
        loaded = mlflow.pyfunc.load_model(f"runs:/{run.run_id}/linear")
    x = torch.rand(3, 6)
    np.testing.assert_allclose(loaded.predict(x.numpy()), module(x).detach().numpy(), rtol=1e-6)


def test_no_random_state_is_touched_by_a_whole_run(store, tmp_path):
    module = Coder()

    def states():
        return random.getstate(), torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()  # noqa: NPY002

    before = states()
    run = store.start_run(name="run", parameters={"a": 1}, tags={}, config_file="a: 1\n")
    run.log_metrics({"a": 1.0}, step=0)
    run.log_hyperparams({"b": 2})
    run.log_dict({}, "empty")
    run.log_dataset("Digits", "0", "here", {}, "training")
    run.log_model(module, torch.ones(2, 6))
    run.close("FINISHED")
    assert states() == before


@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "KILLED"])
def test_the_first_status_counts_and_nothing_is_lost_after_it(store, status):
    run = store.start_run(name="run", parameters={}, tags={})
    run.log_metrics({"a": 1.0}, step=0)
    run.close(status)
    run.log_metrics({"a": 2.0}, step=1)
    run.close("FAILED")
    run.finalize("success")
    assert store.run(run.run_id).info.status == status
    assert store.run(run.run_id).info.end_time is not None
    assert store.history(run.run_id, "a") == [(0, 1.0), (1, 2.0)]


def test_the_end_of_training_sends_all_and_does_not_end_the_run(store):
    run = store.start_run(name="run", parameters={}, tags={})
    run.log_metrics({"a": 1.0}, step=0)
    run.finalize("success")
    assert store.history(run.run_id, "a") == [(0, 1.0)]
    assert store.run(run.run_id).info.status == "RUNNING"
    run.close("FINISHED")


@pytest.mark.parametrize(("closed", "final"), [("FINISHED", "FAILED"), ("KILLED", "KILLED")])
def test_a_failure_that_lightning_reports_is_remembered(store, closed, final):
    run = store.start_run(name="run", parameters={}, tags={})
    run.log_metrics({"a": 1.0}, step=0)
    run.finalize("failed")
    assert store.history(run.run_id, "a") == [(0, 1.0)]
    run.close(closed)
    assert store.run(run.run_id).info.status == final


@pytest.mark.slow
def test_a_process_that_does_not_close_its_run_leaves_it_failed_or_killed(settings, store, warm_python):
    script = """
import sys
from pathlib import Path
from reparam_suite.tracking import Store, TrackingSettings
run = Store.open(TrackingSettings(root=Path(sys.argv[1]))).start_run(name=sys.argv[2], parameters={}, tags={})
run.log_metrics({"a": 1.0}, step=3)
exec(sys.argv[2])
"""
    ends = {"sys.exit(0)": "FAILED", "raise KeyboardInterrupt": "KILLED", "1 / 0": "FAILED"}
    processes = [
        subprocess.Popen([warm_python, "-c", script, str(settings.root), end], stderr=subprocess.PIPE, text=True)
        for end in ends
    ]
    for process in processes:
        assert "INFO" not in process.communicate(timeout=800)[1]
    client = MlflowClient(f"sqlite:///{store.root.resolve()}/mlflow.db")
    runs = client.search_runs([store.experiment_id])
    assert {run.info.run_name: run.info.status for run in runs} == ends
    assert all(store.history(run.info.run_id, "a") == [(3, 1.0)] for run in runs)


def test_resumed_run_continues(store):
    first = store.start_run(name="run", parameters={"a": 1}, tags={})
    first.log_metrics({"elbo": 1.0}, step=0)
    first.close("KILLED")
    second = store.resume_run(first.run_id)
    assert store.run(first.run_id).info.status == "RUNNING"
    second.log_hyperparams({"a": 2, "b": 3})
    second.log_metrics({"elbo": 2.0}, step=1)
    second.close("FINISHED")
    run = store.run(first.run_id)
    assert (run.info.run_name, run.info.status) == ("run", "FINISHED")
    assert run.data.params == {"a": "1", "b": "3"}
    assert run.data.tags["changed.a"] == "2"
    assert store.history(first.run_id, "elbo") == [(0, 1.0), (1, 2.0)]


def test_lightning_finds_what_it_asks_a_logger_for(run, store):
    assert (run.name, run.version) == ("reparam_suite", run.run_id)
    assert run.save_dir == str(store.root)
    assert run.experiment_id == store.experiment_id
