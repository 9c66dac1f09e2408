"""MNIST, Fashion-MNIST and Larochelle's binarized MNIST."""

import struct
from abc import ABC
from collections.abc import Sequence
from pathlib import Path
from typing import final

import numpy as np

from reparam_suite.data.downloaded import DownloadedGrey
from reparam_suite.data.in_memory import Binarization
from reparam_suite.data.kinds import Array
from reparam_suite.data.remote import Archive, RemoteFile
from reparam_suite.data.splits import Splits
from reparam_suite.runtime.errors import DataError

_MNIST = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)
_FASHION = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
)
_LAROCHELLE = ("http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/",)

_NUM_TRAIN = 50_000
_SHAPES = {
    "x_train": (60_000, 28, 28),
    "y_train": (60_000,),
    "x_test": (10_000, 28, 28),
    "y_test": (10_000,),
}


def _parse_idx(content: bytes) -> Array:
    """An array of bytes in the IDX format: two zeros, the type 8, the number of dimensions, each size, the data."""
    zeros, kind, num_dimensions = struct.unpack_from(">HBB", content)
    if (zeros, kind) != (0, 8):
        raise DataError("expected an IDX file of bytes, got another type")
    shape = struct.unpack_from(f">{num_dimensions}I", content, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * num_dimensions).reshape(shape)


def _from_idx(contents: Sequence[bytes]) -> dict[str, Array]:
    return dict(zip(_SHAPES, map(_parse_idx, contents), strict=True))


def _from_text(contents: Sequence[bytes]) -> dict[str, Array]:
    """One image a line, its pixels written as 0 or 1 with a blank between."""
    images = [np.frombuffer(content, np.uint8) for content in contents]
    pixels = [image[image >= ord("0")] - ord("0") for image in images]
    return {key: array.reshape(-1, 28, 28) for key, array in zip(BinarizedMNIST.archive.shapes, pixels, strict=True)}


def _idx_files(bases: tuple[str, ...], *md5s: str) -> tuple[RemoteFile, ...]:
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    return tuple(RemoteFile(f"{name}-ubyte.gz", bases, md5) for name, md5 in zip(names, md5s, strict=True))


class _SixtyThousand(DownloadedGrey, ABC):
    def __init__(
        self,
        *,
        event_shape: tuple[int, ...] = (784,),
        batch_size: int = 100,
        binarization: Binarization = "dynamic",
        hold_out: bool = True,
        seed: int | None = None,
        root: Path = Path("data"),
    ) -> None:
        super().__init__(
            event_shape=event_shape, batch_size=batch_size, binarization=binarization, seed=seed, root=root
        )
        self.hold_out = hold_out

    def read(self) -> Splits:
        """Returns the source arrays."""
        rows = self.rows()
        images = rows["x_train"]
        train = images[:_NUM_TRAIN] if self.hold_out else images
        return Splits(train=train, valid=images[_NUM_TRAIN:], test=rows["x_test"], levels=255, kind=self.kind)


@final
class MNIST(_SixtyThousand):
    """Handwritten digits of 28 x 28 grey pixels: 50,000 / 10,000 / 10,000.

    The first 50,000 of the official training file are for training, its last 10,000 for validation.
    LeCun, Bottou, Bengio & Haffner (1998), Gradient-based learning applied to document recognition.

    Args:
        event_shape: of an image: (784,), (28, 28), (1, 28, 28) or another one of 784 elements.
        batch_size: rows of a training batch, over all devices together; the last of an epoch may be smaller.
        binarization: of grey images: "dynamic" draws the training rows anew in each epoch, "fixed" once for all runs;
            "none" gives intensities in [0, 1].
        hold_out: whether the 10,000 images of validation are kept from training; False trains on all 60,000, of which
            the last 10,000 still validate: then a validation metric is one of training data, and chooses nothing.
        seed: of the order of the training batches and of their binarization; by default the run's, without a run 0.
        root: directory of the file; created, and the file downloaded into it, where missing.
    """

    name = "MNIST"
    archive = Archive(
        "mnist.npz",
        _SHAPES,
        _idx_files(
            _MNIST,
            "6bbc9ace898e44ae57da46a324031adb",
            "a25bea736e30d166cdddb491f175f624",
            "2646ac647ad5339dbf082846283269ea",
            "27ae3e4e09519cfbb04c329615203637",
        ),
        _from_idx,
    )


@final
class FashionMNIST(_SixtyThousand):
    """Articles of clothing in 28 x 28 grey pixels: 50,000 / 10,000 / 10,000, split as MNIST is.

    Xiao, Rasul & Vollgraf (2017), arXiv 1708.07747.

    Its arguments are those of `MNIST`.
    """

    name = "FashionMNIST"
    archive = Archive(
        "fashion_mnist.npz",
        _SHAPES,
        _idx_files(
            _FASHION,
            "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "9018921c3c673c538a1fc5bad174d6f9",
            "8181f5470baa50b63fa0f6fddb340f0a",
            "15d484375f8d13e6eb1aabb0c3f46965",
        ),
        _from_idx,
    )


@final
class BinarizedMNIST(DownloadedGrey):
    """MNIST in the one fixed binarization of likelihood tables: 50,000 / 10,000 / 10,000 images of 0 and 1.

    Larochelle & Murray (2011), The neural autoregressive distribution estimator.

    Args:
        event_shape: of an image: (784,), (28, 28), (1, 28, 28) or another one of 784 elements.
        batch_size: rows of a training batch, over all devices together; the last of an epoch may be smaller.
        seed: of the order of the training batches; by default the run's, without a run 0.
        root: directory of the file; created, and the file downloaded into it, where missing.
    """

    name = "BinarizedMNIST"
    archive = Archive(
        "binarized_mnist_larochelle.npz",
        {"x_train": (50_000, 28, 28), "x_valid": (10_000, 28, 28), "x_test": (10_000, 28, 28)},
        (
            RemoteFile("binarized_mnist_train.amat", _LAROCHELLE, "db28b1a6ae0fe70cbd3da91acf46e477"),
            RemoteFile("binarized_mnist_valid.amat", _LAROCHELLE, "bf37822a04e94123630de6a7dfd9c9ef"),
            RemoteFile("binarized_mnist_test.amat", _LAROCHELLE, "14e41ae11040adba6ab8cb291eda0dd8"),
        ),
        _from_text,
    )

    def __init__(
        self,
        *,
        event_shape: tuple[int, ...] = (784,),
        batch_size: int = 100,
        seed: int | None = None,
        root: Path = Path("data"),
    ) -> None:
        super().__init__(event_shape=event_shape, batch_size=batch_size, binarization="fixed", seed=seed, root=root)

    def read(self) -> Splits:
        """Returns the source arrays."""
        rows = self.rows()
        for key, array in rows.items():
            if array.max() > 1:
                raise DataError(f"{self.source}: {key}: expected 0 and 1, got values up to {array.max()}")
        return Splits(train=rows["x_train"], valid=rows["x_valid"], test=rows["x_test"], levels=1, kind="binary")
