"""Shapes that the estimators' signatures declare are checked in every test; each process keeps to one thread."""

import gc
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import install_import_hook
from tests import postgresql as postgresql_server
from tests import schema

# Test processes share the machine's cores: threads that wait for each other would take many times as long.
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)
# By default Ray's processes give way to all others, and would wait for the other tests to end.
os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - its name

install_import_hook("reparam_suite.estimators", "beartype.beartype")


def pytest_collection_finish() -> None:
    """What has been imported stays: the garbage collector, which looks through all objects, passes over it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _a_schema_is_made_once(tmp_path_factory) -> Iterator[None]:
    """A tracking database in a file begins as a copy of the process's first one: MLflow's migrations take 2 s."""
    if "reparam_suite.tracking.database" not in sys.modules:  # importing it would bring Lightning
        yield
        return
    schema.first = tmp_path_factory.mktemp("schema") / "mlflow.db"
    with schema.made_once(schema.first):
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_server_forks_all_processes() -> Iterator[None]:
    """Workers are forked from the server of `tests.lives`, whoever starts it: it imports what both need."""
    server, lives = sys.modules.get("reparam_suite.runtime.fork_server"), sys.modules.get("tests.lives")
    if server is None or lives is None:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "_PRELOADED", lives.PRELOADED)
        yield


@pytest.fixture(autouse=True)
def _modules_of_a_test_end_with_it(tmp_path_factory) -> Iterator[None]:
    """A module that a test writes and imports is gone after it, so that another's of the same name is found."""
    before = set(sys.modules)
    yield
    folder = str(tmp_path_factory.getbasetemp())
    written = [
        name
        for name in set(sys.modules) - before
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(folder)
    ]
    for name in written:
        del sys.modules[name]
    if written:
        gc.collect()  # or the parser finds their classes


@pytest.fixture(scope="session")
def interpreter(tmp_path_factory) -> Iterator[str]:
    """The path of a Python whose processes have imported everything, see `tests.warm_python`."""
    from tests.warm_python import Interpreter  # MLflow with it

    interpreter = Interpreter(tmp_path_factory.mktemp("python"))
    yield str(interpreter.executable)
    interpreter.close()


@pytest.fixture
def warm_python(interpreter) -> Iterator[str]:
    """That Python, by which programs and further processes are started meanwhile."""
    from tests.warm_python import used  # MLflow with it

    with used(interpreter):
        yield interpreter


@pytest.fixture
def undrawn() -> Iterator[None]:
    """See `tests.launching.undrawn`."""
    from tests.launching import undrawn  # MLflow with it

    with undrawn():
        yield


@pytest.fixture(scope="session")
def real_file(tmp_path_factory) -> Path:
    """An .npz of 2,000 points on a line in five dimensions, with noise of 0.1."""
    noise = np.random.default_rng(0)
    direction = np.array([1.0, -0.5, 0.8, 0.3, -1.2])
    x = noise.normal(size=(2_000, 1)) * direction + 0.1 * noise.normal(size=(2_000, 5))
    path = tmp_path_factory.mktemp("arrays") / "line.npz"
    np.savez(path, x_train=x.astype(np.float32))
    return path


@pytest.fixture
def small_mnist(tmp_path, monkeypatch) -> Path:
    """A directory with an mnist.npz of 360 images, which is accepted for the length of the test."""
    from reparam_suite.data import MNIST  # after the hook above

    shapes = {"x_train": (300, 28, 28), "y_train": (300,), "x_test": (60, 28, 28), "y_test": (60,)}
    noise = np.random.default_rng(0)
    arrays = {name: noise.integers(0, 256, size=shape, dtype=np.uint8) for name, shape in shapes.items()}
    np.savez(tmp_path / "mnist.npz", **arrays)
    monkeypatch.setattr(MNIST, "archive", replace(MNIST.archive, shapes=shapes))
    monkeypatch.setattr("reparam_suite.data.mnist._NUM_TRAIN", 200)
    return tmp_path


@pytest.fixture
def small_root(small_mnist, monkeypatch) -> Iterator[Path]:
    """That directory, and the official files of CIFAR-10 and SVHN for download, each of few images."""
    from tests.data.formats import official_files
    from tests.data.server import Server, offer

    from reparam_suite.data import CIFAR10, SVHN  # after the hook above

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    shapes = {"x_train": (30, 3, 32, 32), "y_train": (30,), "x_test": (5, 3, 32, 32), "y_test": (5,)}
    noise = np.random.default_rng(0)
    arrays = {
        key: noise.integers(0, 256 if key[0] == "x" else 10, shape).astype(np.uint8) for key, shape in shapes.items()
    }
    server = Server()
    try:
        for cls in (CIFAR10, SVHN):
            offer(cls, server, monkeypatch, official_files(cls.__name__, arrays), shapes)
        yield small_mnist
    finally:
        server.close()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[postgresql_server.Cluster]:
    """A PostgreSQL cluster; a test makes the database it needs."""
    if postgresql_server.programs() is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with postgresql_server.cluster() as running:
        yield running
