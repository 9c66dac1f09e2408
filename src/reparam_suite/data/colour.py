"""CIFAR-10 and SVHN: colour images of 32 x 32 pixels."""

import io
import tarfile
from collections.abc import Sequence
from typing import Any, final

import numpy as np

from reparam_suite.data.downloaded import DownloadedColour
from reparam_suite.data.kinds import Array
from reparam_suite.data.pickled_arrays import arrays_of_pickle
from reparam_suite.data.remote import Archive, RemoteFile
from reparam_suite.data.splits import Splits
from reparam_suite.runtime.errors import DataError

_TORONTO = ("https://www.cs.toronto.edu/~kriz/",)
_STANFORD = ("http://ufldl.stanford.edu/housenumbers/",)
_FOLDER = "cifar-10-batches-py"
_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))


def _from_batches(contents: Sequence[bytes]) -> dict[str, Array]:
    (content,) = contents
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            batches = {name: _batch(archive, name) for name in (*_BATCHES, "test_batch")}
    except (tarfile.TarError, EOFError) as error:
        raise DataError(
            f"cifar-10-python.tar.gz: expected a tar archive, got one that cannot be read: {error}"
        ) from error
    train = [batches[name] for name in _BATCHES]
    x, y = (np.concatenate([batch[part] for batch in train]) for part in (0, 1))
    return {"x_train": x, "y_train": y, "x_test": batches["test_batch"][0], "y_test": batches["test_batch"][1]}


def _batch(archive: tarfile.TarFile, name: str) -> tuple[Array, Array]:
    # A batch is a dictionary: data [N, 3072] of three planes, labels a list.
    where = f"{_FOLDER}/{name}"
    try:
        file = archive.extractfile(where)
    except KeyError:
        file = None
    if file is None:
        raise DataError(f"cifar-10-python.tar.gz: expected a file {where}, got none")
    held = arrays_of_pickle(file.read(), where)
    data, labels = held.get("data"), held.get("labels")
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.shape[1] != 3 * 32 * 32 or not _are_labels(labels):
        raise DataError(f"{where}: expected data [N, 3072] and labels, got {', '.join(held) or 'nothing'}")
    return data.reshape(-1, 3, 32, 32), np.asarray(labels, np.uint8)


def _are_labels(labels: Any) -> bool:
    return isinstance(labels, list) and all(type(label) is int and 0 <= label < 10 for label in labels)


def _from_mat(contents: Sequence[bytes]) -> dict[str, Array]:
    from scipy.io import loadmat  # only a download needs it
    from scipy.io.matlab import MatReadError

    arrays: dict[str, Array] = {}
    for split, content in zip(("train", "test"), contents, strict=True):
        try:
            held = loadmat(io.BytesIO(content), variable_names=["X", "y"])
            x, y = held["X"], held["y"]
        except (MatReadError, ValueError, TypeError, KeyError, NotImplementedError, OSError) as error:
            raise DataError(f"{split}_32x32.mat: expected X and y, got a file without: {error}") from error
        # [32, 32, 3, N] -> [N, 3, 32, 32]; the label 10 stands for the digit 0.
        arrays |= {f"x_{split}": x.transpose(3, 2, 0, 1), f"y_{split}": (y.reshape(-1) % 10).astype(np.uint8)}
    return arrays


@final
class CIFAR10(DownloadedColour):
    """Objects and animals of ten classes in 32 x 32 pixels in colour: 45,000 / 5,000 / 10,000.

    The last 5,000 of the training file are for validation.
    Krizhevsky (2009), Learning multiple layers of features from tiny images.
    """

    name = "CIFAR10"
    archive = Archive(
        "cifar10.npz",
        {"x_train": (50_000, 3, 32, 32), "y_train": (50_000,), "x_test": (10_000, 3, 32, 32), "y_test": (10_000,)},
        (RemoteFile("cifar-10-python.tar.gz", _TORONTO, "c58f30108f718f92721af3b95e74349a"),),
        _from_batches,
    )

    def read(self) -> Splits:
        """Returns the source arrays."""
        return _split(self.rows())


@final
class SVHN(DownloadedColour):
    """Digits of house numbers in 32 x 32 pixels in colour: 65,932 / 7,325 / 26,032.

    The last tenth of the training file is for validation; the extra images are not used.
    Netzer, Wang, Coates, Bissacco, Wu & Ng (2011), Reading digits in natural images with unsupervised feature learning.
    """

    name = "SVHN"
    archive = Archive(
        "svhn.npz",
        {"x_train": (73_257, 3, 32, 32), "y_train": (73_257,), "x_test": (26_032, 3, 32, 32), "y_test": (26_032,)},
        (
            RemoteFile("train_32x32.mat", _STANFORD, "e26dedcc434d2e4c54c9b2d4a06d8373"),
            RemoteFile("test_32x32.mat", _STANFORD, "eb5a983be6a315427106f1b164d9cef3"),
        ),
        _from_mat,
    )

    def read(self) -> Splits:
        """Returns the source arrays."""
        return _split(self.rows())


def _split(rows: dict[str, Array]) -> Splits:
    train = rows["x_train"]
    num_valid = max(1, len(train) // 10)
    return Splits(train=train[:-num_valid], valid=train[-num_valid:], test=rows["x_test"], levels=255, kind="colour")
