"""Omniglot, reduced to 28 x 28."""

import fnmatch
import io
import zipfile
from collections.abc import Iterator, Sequence
from typing import final

import numpy as np

from reparam_suite.data.downloaded import DownloadedGrey
from reparam_suite.data.kinds import Array
from reparam_suite.data.remote import Archive, RemoteFile
from reparam_suite.data.splits import Splits

_OFFICIAL = (
    "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/",
    "https://github.com/brendenlake/omniglot/raw/master/python/",
)
_NUM_VALID = 1_345
_LAST_TRAIN_DRAWER = 15


def _drawings(content: bytes) -> Iterator[tuple[int, Array]]:
    """Drawer and [28, 28] ink of each picture .../character_MM.png, in the order of their names."""
    from PIL import Image, ImageOps  # only a download needs it

    with zipfile.ZipFile(io.BytesIO(content)) as pictures:
        for name in sorted(fnmatch.filter(pictures.namelist(), "images_*.png")):
            with Image.open(io.BytesIO(pictures.read(name))) as picture:
                # Ink is black in the pictures; a mean over the pixels that each of the 28 x 28 fields covers.
                ink = ImageOps.invert(picture.convert("L")).resize((28, 28), Image.Resampling.BOX)
            yield int(name[-6:-4]), np.asarray(ink)


def _from_pictures(contents: Sequence[bytes]) -> dict[str, Array]:
    drawings = [drawing for content in contents for drawing in _drawings(content)]
    return {
        "x_train": np.stack([ink for drawer, ink in drawings if drawer <= _LAST_TRAIN_DRAWER]),
        "x_test": np.stack([ink for drawer, ink in drawings if drawer > _LAST_TRAIN_DRAWER]),
    }


@final
class Omniglot(DownloadedGrey):
    """Characters of 50 alphabets, reduced from 105 x 105 to 28 x 28: 23,000 / 1,345 / 8,115.

    Drawers 1 to 15 of every character are for training, of whom evenly spaced pictures go to validation, 16 to 20 for
    the test. Not the resized pictures of the IWAE paper: likelihoods do not compare with published ones.
    Lake, Salakhutdinov & Tenenbaum (2015), Human-level concept learning through probabilistic program induction.
    """

    name = "Omniglot"
    archive = Archive(
        "omniglot28.npz",
        {"x_train": (24_345, 28, 28), "x_test": (8_115, 28, 28)},
        (
            RemoteFile("images_background.zip", _OFFICIAL, "68d2efa1b9178cc56df9314c21c6e718"),
            RemoteFile("images_evaluation.zip", _OFFICIAL, "6b91aef0f799c5bb55b94e3f2daec811"),
        ),
        _from_pictures,
    )

    def read(self) -> Splits:
        """Returns the source arrays."""
        rows = self.rows()
        is_valid = np.zeros(len(rows["x_train"]), dtype=bool)
        is_valid[np.arange(_NUM_VALID) * len(is_valid) // _NUM_VALID] = True
        train, valid = rows["x_train"][~is_valid], rows["x_train"][is_valid]
        return Splits(train=train, valid=valid, test=rows["x_test"], levels=255, kind=self.kind)
