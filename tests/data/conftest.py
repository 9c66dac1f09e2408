from pathlib import Path

import numpy as np
import pytest
import torch
from tests.data.server import Server

SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is absent: the real data files cannot be read")
    return SHARED


@pytest.fixture
def grey() -> torch.Tensor:
    """[23, 5] of 0..16; every row is unlike every other, so that rows can be told apart."""
    values = np.random.default_rng(3).permutation(17**2)[:23]
    first, second = np.divmod(values, 17)
    rows = np.stack([first, second, np.full(23, 0), np.full(23, 16), np.full(23, 8)], axis=1)
    return torch.from_numpy(rows.astype(np.uint8))


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    yield server
    server.close()


@pytest.fixture
def files(tmp_path) -> dict[str, Path]:
    """Colour images of 2 x 2 pixels in an .npy file for each split."""
    rng = np.random.default_rng(2)
    arrays = {"train": 83, "valid": 9, "test": 7}
    found = {}
    for split, number in arrays.items():
        found[split] = tmp_path / f"{split}.npy"
        np.save(found[split], rng.integers(0, 256, (number, 3, 2, 2), dtype=np.uint8))
    return found
