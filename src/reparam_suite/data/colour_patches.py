"""Patches of the two photographs that come with scikit-learn."""

import math
from importlib.util import find_spec
from pathlib import Path
from typing import final

import numpy as np

from reparam_suite.data.in_memory import ArrayDataModule
from reparam_suite.data.kinds import Array, Kind
from reparam_suite.data.splits import Splits
from reparam_suite.runtime import checks
from reparam_suite.runtime.errors import ArgumentValueError, DataError

_PHOTOGRAPHS = ("china.jpg", "flower.jpg")
_SMALLEST_SIDE = 427


@final
class ColourPatches(ArrayDataModule):
    """Patches of two photographs, a temple and a flower, in 8-bit colour; part of scikit-learn, no download.

    The photographs of 640 x 427 pixels are cut into patches side by side. In a fixed order that takes them from
    everywhere in turn, of every seven in a row the sixth is for validation and the seventh for the test: at 16 x 16
    pixels, 1,486 / 297 / 297.

    Args:
        size: height and width of a patch in pixels; x is [3, size, size].
        batch_size: rows of a training batch, over all devices together; the last of an epoch may be smaller.
        seed: of the order of the training batches; by default the run's, without a run 0.
    """

    name = "ColourPatches"
    source = "scikit-learn"

    def __init__(self, *, size: int = 16, batch_size: int = 100, seed: int | None = None) -> None:
        super().__init__(batch_size=batch_size, binarization="none", seed=seed)
        self.size = checks.integer("size", size, least=1)
        if size > _SMALLEST_SIDE // 2:
            raise ArgumentValueError(f"size: expected at most {_SMALLEST_SIDE // 2} pixels, got {size}")

    @property
    def event_shape(self) -> tuple[int, ...]:
        """[3, size, size]."""
        return (3, self.size, self.size)

    @property
    def kind(self) -> Kind:
        """Colour."""
        return "colour"

    def read(self) -> Splits:
        """Returns the source arrays."""
        x = np.concatenate([_patches(_photograph(name), self.size) for name in _PHOTOGRAPHS])
        x = x[_mixed(len(x))]
        seventh = np.arange(len(x)) % 7
        return Splits(train=x[seventh < 5], valid=x[seventh == 5], test=x[seventh == 6], levels=255, kind="colour")


def _mixed(number: int) -> Array:
    # Every number once, in steps of about the golden section: neighbours come from far apart.
    step = round(number * 0.618)
    while math.gcd(step, number) > 1:
        step += 1
    return np.arange(number) * step % number


def _patches(photograph: Array, size: int) -> Array:
    # [H, W, 3] -> [N, 3 size size]; what is left over at the lower and the right edge is not used.
    rows, columns = photograph.shape[0] // size, photograph.shape[1] // size
    tiles = photograph[: rows * size, : columns * size].reshape(rows, size, columns, size, 3)
    return tiles.transpose(0, 2, 4, 1, 3).reshape(rows * columns, -1)


def _photograph(name: str) -> Array:
    from PIL import Image  # here alone: it takes time to import

    # Found as Digits finds its file: importing scikit-learn takes as long as a short run.
    package = find_spec("sklearn")
    file = Path(package.origin).parent / "datasets/images" / name if package and package.origin else None
    if file is None or not file.is_file():
        raise DataError(f"ColourPatches: expected scikit-learn with its {name}, got none: install scikit-learn")
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))
