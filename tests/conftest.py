"""Shapes that the estimators' signatures declare are checked in every test; each process keeps to one thread."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import install_import_hook
from tests import postgresql as postgresql_server

# Test processes share the machine's cores: threads that wait for each other would take many times as long.
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)

install_import_hook("reparam_suite.estimators", "beartype.beartype")


@pytest.fixture(scope="session")
def real_file(tmp_path_factory) -> Path:
    """An .npz of 2,000 points on a line in five dimensions, with noise of 0.1."""
    noise = np.random.default_rng(0)
    direction = np.array([1.0, -0.5, 0.8, 0.3, -1.2])
    x = noise.normal(size=(2_000, 1)) * direction + 0.1 * noise.normal(size=(2_000, 5))
    path = tmp_path_factory.mktemp("arrays") / "line.npz"
    np.savez(path, x_train=x.astype(np.float32))
    return path


@pytest.fixture(scope="session")
def postgresql() -> Iterator[postgresql_server.Cluster]:
    """A PostgreSQL cluster; a test makes the database it needs."""
    if postgresql_server.programs() is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with postgresql_server.cluster() as running:
        yield running
