"""A file of rows, and what is asked of a run that trains on them."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np

ROWS = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32)


def rows_file(folder: Path) -> Path:
    file = folder / "rows.npz"
    np.savez(file, x_train=ROWS)
    return file


def parts(data) -> SimpleNamespace:
    return SimpleNamespace(given_data=data, data=data, run=SimpleNamespace(seed=0))
