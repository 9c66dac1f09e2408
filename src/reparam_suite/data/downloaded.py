"""What the downloaded data sets share: a root directory and an archive in it."""

from abc import ABC
from pathlib import Path
from typing import ClassVar

from reparam_suite.data.base import Array, ArrayDataModule, Binarization
from reparam_suite.data.remote import Archive


class DownloadedDataModule(ArrayDataModule, ABC):
    """A data set kept as one .npz file in `root`, made from the official files when it is not there.

    Args:
        batch_size: rows of a training batch, over all devices together; the last of an epoch may be smaller.
        binarization: of grey training images: "dynamic" draws them anew each epoch, "fixed" once for all runs.
        seed: of the order of the training batches and of their binarization.
        root: directory of the file; created, and the file downloaded into it, where missing.
    """

    archive: ClassVar[Archive]

    num_features = 784
    image_shape = (28, 28)
    observation = "binary"

    def __init__(
        self,
        *,
        batch_size: int = 100,
        binarization: Binarization = "dynamic",
        seed: int = 0,
        root: Path = Path("data"),
    ) -> None:
        super().__init__(batch_size=batch_size, binarization=binarization, seed=seed)
        self.root = Path(root)
        self.source = str(self.root / self.archive.file)

    def prepare_data(self) -> None:
        """Download the data where it is missing."""
        self.archive.download(self.root)

    def _rows(self) -> dict[str, Array]:
        """The archive's arrays, [N, P]."""
        return {key: array.reshape(len(array), -1) for key, array in self.archive.read(self.root).items()}
