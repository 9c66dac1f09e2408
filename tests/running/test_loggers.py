"""Runs that are recorded in TensorBoard, in Weights & Biases and by a logger of Lightning's beside MLflow."""

import csv
import importlib.util
import json
import math
import os
import re
import time
from pathlib import Path

import pytest
from lightning.pytorch import Callback
from lightning.pytorch.loggers import CSVLogger, Logger
from tests.launching import fit as command
from tests.running.models import gaussian
from tests.running.resuming import Brief, fit

from reparam_suite import Run
from reparam_suite.data import Digits
from reparam_suite.models import OptimizerSettings, StepSchedule
from reparam_suite.running import Observer
from reparam_suite.tracking import Store, TensorBoard, TrackingSettings, WeightsAndBiases
from reparam_suite.training import RecordSettings


class Dies(Callback):
    """The process ends after nine steps, which are recorded; a checkpoint has five of them."""

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == 9:
            raise RuntimeError("killed")


class Tested(Observer):
    """A run without figures."""

    in_full = False


class Broken(Logger):
    name = version = "broken"

    def log_hyperparams(self, params):
        """Works."""

    def log_metrics(self, metrics, step):
        raise ConnectionError("no route")


Curves = dict[str, list[tuple[int, float]]]


def of_mlflow(root: Path, run_id: str) -> Curves:
    store = Store.open(TrackingSettings(root=root))
    return {name: store.history(run_id, name) for name in store.run(run_id).data.metrics}


def of_tensorboard(directory: Path) -> Curves:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(directory), size_guidance={"scalars": 0})
    read.Reload()
    return {name: [(event.step, event.value) for event in read.Scalars(name)] for name in read.Tags()["scalars"]}


def of_wandb(directories: list[Path]) -> Curves:
    from wandb.proto.wandb_internal_pb2 import Record
    from wandb.sdk.internal.datastore import DataStore

    curves: Curves = {}
    for directory in directories:
        (file,) = directory.glob("*.wandb")
        store = DataStore()
        store.open_for_scan(str(file))
        while (data := store.scan_data()) is not None:
            record = Record()
            record.ParseFromString(data)
            row = {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}
            step = row.get("trainer/global_step")
            for name, value in row.items():
                if not name.startswith("_") and name != "trainer/global_step":
                    curves.setdefault(name, []).append((step, float(value)))
        store.close()
    return curves


def of_csv(file: Path) -> Curves:
    curves: Curves = {}
    with file.open() as rows:
        for row in csv.DictReader(rows):
            for name, text in row.items():
                if name != "step" and text:
                    curves.setdefault(name, []).append((int(row["step"]), float(text)))
    return curves


def of_metrics_file(file: Path) -> Curves:
    curves: Curves = {}
    with file.open() as rows:
        for row in csv.DictReader(rows):
            curves.setdefault(row["metric"], []).append((int(row["step"]), float(row["value"])))
    return curves


TIMED = re.compile(r"time/|memory/|cost/|.*/work_normalized_variance")
"""Numbers that a step has anew when it is taken again; MLflow and those that are told beside it keep the first."""


def assert_same(found: Curves, expected: Curves, tolerance: float = 0.0, *, timed: bool = True) -> None:
    assert found.keys() == expected.keys()
    for name, curve in expected.items():
        assert [step for step, _ in sorted(found[name])] == [step for step, _ in curve], name
        if TIMED.match(name) and not timed:
            continue
        for (_, value), (_, wanted) in zip(sorted(found[name]), curve, strict=True):
            assert math.isclose(value, wanted, rel_tol=tolerance) or (math.isnan(value) and math.isnan(wanted)), name


@pytest.fixture(scope="module")
def resumed(tmp_path_factory):
    """The root and the id of a run that was killed and resumed, what it printed, and what was logged."""
    directory = tmp_path_factory.mktemp("loggers")
    root = directory / "mlruns"

    def loggers():
        return [TensorBoard(), WeightsAndBiases(project="digits"), CSVLogger(directory, name="csv"), Broken()]

    run = Run(
        lambda: gaussian(optimizer=OptimizerSettings(schedule=StepSchedule(every=4))),
        Digits(batch_size=300),
        max_steps=12,
        name="a/run",
        record=RecordSettings(every=3, gradients_every=6, test_data=0),
        trainer={"callbacks": [Dies()]},
        loggers=loggers(),
        tracking=TrackingSettings(root=root),
    )
    with pytest.raises(RuntimeError, match="killed"):
        fit(run, Brief())
    (run_id,) = os.listdir(root / "checkpoints")
    time.sleep(1.0)  # Weights & Biases names its directories by the second
    again = Run.resume(run_id, tracking=TrackingSettings(root=root), model=run.model, trainer={}, loggers=loggers())
    fit(again, Tested())
    return root, run_id


def test_tensorboard_has_the_numbers_of_mlflow_after_a_resumption_too(resumed):
    root, run_id = resumed
    expected = of_mlflow(root, run_id)
    assert {"train/elbo", "train/learning_rate", "val/elbo", "test/elbo", "time/ms_per_step"} <= set(expected)
    (place,) = (root / "tensorboard").iterdir()
    assert place.name == f"a_run-{run_id[:8]}"
    assert len(list(place.glob("events*"))) == 2, "one for each process"
    assert_same(of_tensorboard(place), expected, 1e-6)  # it keeps float32


def test_weights_and_biases_has_them_under_the_same_id(resumed):
    root, run_id = resumed
    places = sorted((root / "wandb").glob(f"offline-run-*-{run_id}"))
    assert len(places) == 2
    assert_same(of_wandb(places), of_mlflow(root, run_id), 1e-12)


def test_the_file_beside_the_checkpoints_has_them(resumed):
    root, run_id = resumed
    assert_same(of_metrics_file(root / "checkpoints" / run_id / "metrics.csv"), of_mlflow(root, run_id), timed=False)


def test_a_logger_of_lightnings_has_all_that_the_resumed_process_knows(resumed):
    root, run_id = resumed
    assert_same(of_csv(root.parent / "csv" / "version_1" / "metrics.csv"), of_mlflow(root, run_id), 1e-6, timed=False)


# ------------------------------------------------------------------------------------------------------------- refusals


def test_a_package_that_is_missing_is_told_with_the_line_that_installs_it(tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in ("tensorboard", "wandb") else find(name)
    )
    for name, extra in {"TensorBoard": "tensorboard", "WeightsAndBiases": "wandb"}.items():
        ended = command("--loggers", name, root=tmp_path / "mlruns")
        message = f"--loggers: {name} needs {extra}; to have it: pip install 'reparam_suite[{extra}]'"
        assert (ended.code, ended.err) == (2, f"reparam_suite.fit: {message}\n")
    ended = command("--loggers", "CometLogger", root=tmp_path / "mlruns")
    assert (ended.code, ended.err[:43]) == (2, "reparam_suite.fit: --loggers: CometLogger: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("loggers", "message"),
    [
        ("TensorBoard", "loggers: expected a list of loggers, got 'TensorBoard'"),
        (["TensorBoard"], "loggers: expected loggers of Lightning's or the suite's, got 'TensorBoard'"),
    ],
)
def test_what_is_no_logger_is_refused(tmp_path, loggers, message):
    with pytest.raises(TypeError) as refused:
        fit(Run(gaussian, Digits(), loggers=loggers, tracking=TrackingSettings(root=tmp_path / "mlruns")), Brief())
    assert str(refused.value) == message
    assert list(tmp_path.iterdir()) == []
