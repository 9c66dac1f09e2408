import inspect
import subprocess
import sys

import numpy as np
import pytest
import torch

from reparam_suite import data
from reparam_suite.data import (
    ArrayDataModule,
    Splits,
    image_shape_of,
)


def everything(loader) -> torch.Tensor:
    return torch.cat(list(loader))


def test_public_names():
    assert issubclass(data.DataError, ValueError)
    assert inspect.isabstract(ArrayDataModule)
    assert all(hasattr(data, name) for name in data.__all__)


def test_importing_data_imports_no_heavy_library_of_ours():
    # Lightning itself brings Pillow and matplotlib where they are installed.
    code = """
import sys
import lightning.pytorch
before = set(sys.modules)
import reparam_suite.data
heavy = {"sklearn", "pooch", "PIL", "matplotlib", "requests"}
sys.exit(", ".join(heavy & (set(sys.modules) - before)) or 0)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


class Squares(ArrayDataModule):
    """A data set of someone else's: squares of 0..3, in the grey levels 0..9."""

    name = "Squares"
    source = "arithmetic"
    event_shape = (2, 2)

    def read(self):
        rows = np.array([[0, 1, 4, 9]] * 12, np.uint8)
        return Splits(train=rows, valid=rows[:3], test=None, levels=9, kind=self.kind_of_batches("grey"))


def test_a_data_set_of_ones_own_is_its_arrays_and_their_shape():
    grey, binary = Squares(binarization="none", batch_size=5), Squares(batch_size=5)
    assert (grey.kind, binary.kind) == ("grey", "binary")
    expected = torch.tensor([[0, 1], [4, 9]]) / 9
    assert torch.equal(everything(grey.train_dataloader()), expected.expand(12, 2, 2))
    assert torch.equal(grey.sample_batch(), expected.expand(5, 2, 2))
    assert torch.equal(binary.train_mean, expected)
    assert set(everything(binary.train_dataloader()).unique().tolist()) == {0, 1}
    assert grey.num_rows == {"train": 12, "valid": 3}
    assert not grey.has("test")
    assert grey.digest == binary.digest


@pytest.mark.parametrize(
    ("event_shape", "image_shape"),
    [
        ((8, 6), (8, 6)),
        ((1, 8, 6), (1, 8, 6)),
        ((3, 8, 6), (3, 8, 6)),
        ((64,), None),
        ((8, 6, 3), None),
        ((2, 8, 6), None),
        ((1, 3, 8, 6), None),
    ],
)
def test_images_are_rows_of_height_and_width_with_one_or_three_channels_before(event_shape, image_shape):
    assert image_shape_of(event_shape) == image_shape
