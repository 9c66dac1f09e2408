import numpy as np
import pytest

from reparam_suite.data import Arrays


@pytest.fixture
def real_arrays(tmp_path) -> Arrays:
    """2,000 points on a line in five dimensions, with noise of 0.1."""
    noise = np.random.default_rng(0)
    direction = np.array([1.0, -0.5, 0.8, 0.3, -1.2])
    x = noise.normal(size=(2_000, 1)) * direction + 0.1 * noise.normal(size=(2_000, 5))
    np.savez(tmp_path / "line.npz", x_train=x.astype(np.float32))
    data = Arrays(path=tmp_path / "line.npz", batch_size=200)
    data.setup()
    return data
