"""Shapes that the estimators' signatures declare are checked in every test."""

from pathlib import Path

import numpy as np
import pytest
from jaxtyping import install_import_hook

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
