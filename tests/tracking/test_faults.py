"""Servers that die, connections that break at every point, disks that are full: nothing is lost, doubled or halved."""

import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest
import torch
from mlflow import MlflowClient
from tests.launching import fit
from tests.tracking.servers import Proxy, Server
from torch import nn

from reparam_suite import sync
from reparam_suite.tracking import Store, TrackingSettings, outbox, run_logger

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(outbox, "PERIOD", 0.1)
    monkeypatch.setattr(outbox, "_FIRST_PAUSE", 0.05)
    monkeypatch.setattr(outbox, "_LAST_PAUSE", 0.2)


@pytest.fixture(scope="module")
def disk(tmp_path_factory, database) -> Path:
    """The server's directory, with a database that has its tables."""
    directory = tmp_path_factory.mktemp("server")
    shutil.copy(database, directory / "mlflow.db")
    return directory


@pytest.fixture(scope="module")
def server(disk) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Server(
        f"DO_NOT_TRACK=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false exec {sys.executable} -m mlflow server "
        f"--host 127.0.0.1 --port {port} --workers 1 --backend-store-uri sqlite:///{disk}/mlflow.db "
        f"--artifacts-destination {disk}/artifacts",
        port,
    )
    server.start()
    yield server
    server.kill()


@pytest.fixture
def proxy(server):
    proxy = Proxy(server.uri)
    yield proxy
    proxy.close()


class Told:
    """Writes to a run, remembers what, and measures how long that took."""

    def __init__(self, run) -> None:
        self.run, self.steps = run, 0
        self.files: dict[str, bytes] = {}
        self.seconds: list[float] = []

    def metrics(self, num: int) -> None:
        """Ten metrics at each of `num` steps."""
        for _ in range(num):
            before = time.perf_counter()
            self.run.log_metrics({f"m{index}": self.steps + index / 7 for index in range(10)}, step=self.steps)
            self.seconds.append(time.perf_counter() - before)
            self.steps += 1

    def file(self, path: Path, size: int) -> None:
        path.write_bytes(random.Random(size).randbytes(size))
        self.files[path.name] = path.read_bytes()
        self.run.log_artifact(path, "files")

    def check_metrics(self, store: Store) -> None:
        """The store has each step of each metric once, with its value, told in this order."""
        for index in range(10):
            points = store._client.get_metric_history(self.run.run_id, f"m{index}")
            points.sort(key=lambda point: point.step)
            assert [(point.step, point.value) for point in points] == [(n, n + index / 7) for n in range(self.steps)]
            times = [point.timestamp for point in points]
            assert times == sorted(times)


class Watch:
    """Looks at a directory of artifacts again and again, for a file that is not what it is to be."""

    def __init__(self, directory: Path, told: Told) -> None:
        self.broken: list[str] = []
        self.looks = 0
        self._directory, self._told = directory, told
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stopped.wait(0.005):
            for path in self._directory.rglob("files/*"):
                if path.name in self._told.files:
                    self.looks += 1
                    if path.read_bytes() != self._told.files[path.name]:
                        self.broken.append(path.name)


def test_a_server_and_its_connections_fail_in_every_way(proxy, server, disk, tmp_path, monkeypatch, capsys):
    settings = TrackingSettings(uri=proxy.uri, root=tmp_path / "mlruns")
    store = Store.open(settings)
    run = store.start_run(name="run", parameters={}, tags={})
    told = Told(run)
    watch = Watch(disk / "artifacts", told)

    for round_, mode in zip(range(40), cycle(["swallow", "pass", "cut", "refuse", "pass"]), strict=False):
        proxy.mode = mode
        told.metrics(15)
        run.set_tags({"round": str(round_)})
        if round_ % 5 == 0:
            told.file(tmp_path / f"{round_}.bin", 400_000 + round_)
            run.log_dataset("Digits", "0", "here", {"train": round_ % 10}, "training")
        if round_ == 10:
            run.log_model(nn.Linear(4, 2), torch.ones(3, 4))
        time.sleep(0.15)
    for mode in ("swallow", "cut", "refuse"):  # until each has cost a connection
        proxy.mode = mode
        while not proxy.failed[mode]:
            told.metrics(15)
            time.sleep(0.05)
    proxy.mode = "pass"

    told.metrics(500)
    server.kill()  # while it is being sent
    told.metrics(500)
    told.file(tmp_path / "late.bin", 300_000)
    server.start()
    assert run.flush(300)
    told.check_metrics(store)

    server.kill()
    told.metrics(100)
    told.file(tmp_path / "later.bin", 200_000)
    monkeypatch.setattr(run_logger, "PATIENCE", 0.5)
    with pytest.warns(UserWarning, match="1002 records are kept"):
        run.close("FINISHED")
    server.start()
    options = ["--tracking.uri", proxy.uri, "--tracking.root", str(settings.root)]
    assert store.run(run.run_id).info.status == "RUNNING"
    for printed in (f"{run.run_id}  run: 1002 records delivered, FINISHED\n", "nothing to send\n"):
        capsys.readouterr()
        assert sync.main(options) == 0
        assert capsys.readouterr().out == printed
    while watch.looks <= 50:
        time.sleep(0.01)
    watch.stop()

    told.check_metrics(store)
    recorded = store.run(run.run_id)
    assert (recorded.info.status, recorded.data.tags["round"]) == ("FINISHED", "39")
    assert len(recorded.inputs.dataset_inputs) == 1
    client = MlflowClient(proxy.uri)
    (model,) = client.search_logged_models([store.experiment_id], filter_string=f"source_run_id='{run.run_id}'")
    assert model.status == "READY"
    assert len(recorded.outputs.model_outputs) == 1
    directory = disk / "artifacts" / store.experiment_id / run.run_id / "artifacts/files"
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == told.files
    assert watch.broken == []
    assert list((settings.root / "spool").iterdir()) == []
    print(
        f"{10 * told.steps} metrics, {len(told.files)} files; connections lost: {dict(Counter(proxy.failed))}; "
        f"{sum(told.seconds):.3f} s in {told.steps} calls, {max(told.seconds):.4f} at most"
    )


def test_training_continues_while_the_store_is_away(proxy, tmp_path, monkeypatch):
    begin, mode = Store.start_run, "pass"

    def start_run(self, **options):
        run = begin(self, **options)
        assert run.flush(300)
        proxy.mode = mode
        return run

    monkeypatch.setattr(Store, "start_run", start_run)
    tracking = ["--tracking.uri", proxy.uri, "--tracking.experiment", "away"]
    steps, milliseconds = [1, *range(10, 410, 10)], {}
    for mode in ("pass", "refuse", "hold"):
        root = tmp_path / mode
        options = [*tracking, "--trainer.max_steps=400", "--record.every=10"]
        if mode == "pass":
            ended = fit(*options, root=root)
        else:
            monkeypatch.setattr(run_logger, "PATIENCE", 0.5)
            with pytest.warns(UserWarning, match="did not receive all of run"):
                ended = fit(*options, root=root)
        assert ended.code == 0, ended.err
        proxy.mode = "pass"
        client = MlflowClient(proxy.uri)
        (run_id,) = ended.run_ids
        assert client.get_run(run_id).info.status == ("FINISHED" if mode == "pass" else "RUNNING")
        assert sync.main([*tracking, "--tracking.root", str(root)]) == 0
        assert client.get_run(run_id).info.status == "FINISHED"
        times = client.get_metric_history(run_id, "time/ms_per_step")
        assert sorted(point.step for point in times) == steps
        assert {file.path for file in client.list_artifacts(run_id)} >= {"config.yaml", "figures", "checkpoints"}
        milliseconds[mode] = statistics.median(point.value for point in times)
        assert list((root / "spool").iterdir()) == []
    print({mode: f"{value:.3f} ms per step" for mode, value in milliseconds.items()})


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 6 MB."""
    directory = tmp_path / "small"
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", directory]
    mounted = subprocess.run(mount, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    yield directory
    subprocess.run(["umount", "--lazy", directory], check=True)


def fill(directory: Path) -> Path:
    """Leaves not a byte free."""
    filler = directory / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return filler


@pytest.mark.parametrize("full", ["database", "spool", "both"])
def test_a_disk_that_is_full_for_a_while_loses_and_doubles_nothing(small_disk, database, disk, tmp_path, full):
    where = {"database": disk, "spool": tmp_path} | dict.fromkeys(
        ("database", "spool") if full == "both" else (full,), small_disk
    )
    if where["database"] == small_disk:
        shutil.copy(database, small_disk / "mlflow.db")  # a fresh one: the server's has grown
    settings = TrackingSettings(uri=f"sqlite:///{where['database']}/mlflow.db", root=where["spool"] / "mlruns")
    store = Store.open(settings)
    run = store.start_run(name="run", parameters={}, tags={})
    told = Told(run)
    told.metrics(50)
    filler = fill(small_disk)
    for _ in range(10):
        told.metrics(40)
        time.sleep(0.1)
    if full == "spool":  # the store takes all the same
        assert run.flush(300)
    else:
        assert not run.flush(1)
    filler.unlink()
    told.metrics(50)
    assert run.flush(300)
    run.close("FINISHED")
    told.check_metrics(store)
    assert store.run(run.run_id).info.status == "FINISHED"
    assert os.listdir(where["spool"] / "mlruns/spool") == []
