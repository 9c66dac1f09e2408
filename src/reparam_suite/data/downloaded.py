"""Data sets that are downloaded: a root directory and an archive in it."""

from abc import ABC
from pathlib import Path
from typing import ClassVar

from reparam_suite.data.in_memory import ArrayDataModule, Binarization
from reparam_suite.data.kinds import Array, Kind
from reparam_suite.data.remote import Archive
from reparam_suite.runtime import checks


class DownloadedDataModule(ArrayDataModule, ABC):
    """A data set kept as one .npz file in `root`, made from the official files when it is not there.

    Args:
        batch_size: rows of a training batch, over all devices together; the last of an epoch may be smaller.
        binarization: of grey images: "dynamic" draws the training rows anew in each epoch, "fixed" once for all runs;
            "none" gives intensities in [0, 1].
        seed: of the order of the training batches and of their binarization; by default the run's, without a run 0.
        root: directory of the file; created, and the file downloaded into it, where missing.
    """

    archive: ClassVar[Archive]

    def __init__(
        self,
        *,
        batch_size: int = 100,
        binarization: Binarization = "dynamic",
        seed: int | None = None,
        root: Path = Path("data"),
    ) -> None:
        super().__init__(batch_size=batch_size, binarization=binarization, seed=seed)
        self.root = Path(root)
        self.source = str(self.root / self.archive.file)

    def prepare_data(self) -> None:
        """Download the data where it is missing."""
        self.archive.download(self.root)

    def rows(self) -> dict[str, Array]:
        """The archive's arrays, [N, P]."""
        return {key: array.reshape(len(array), -1) for key, array in self.archive.read(self.root).items()}


class DownloadedGrey(DownloadedDataModule, ABC):
    """A downloaded data set of grey images of 28 x 28 pixels.

    Args:
        event_shape: of an image: (784,), (28, 28), (1, 28, 28) or another one of 784 elements.
        batch_size: rows of a training batch, over all devices together; the last of an epoch may be smaller.
        binarization: of grey images: "dynamic" draws the training rows anew in each epoch, "fixed" once for all runs;
            "none" gives intensities in [0, 1].
        seed: of the order of the training batches and of their binarization; by default the run's, without a run 0.
        root: directory of the file; created, and the file downloaded into it, where missing.
    """

    def __init__(
        self,
        *,
        event_shape: tuple[int, ...] = (784,),
        batch_size: int = 100,
        binarization: Binarization = "dynamic",
        seed: int | None = None,
        root: Path = Path("data"),
    ) -> None:
        super().__init__(batch_size=batch_size, binarization=binarization, seed=seed, root=root)
        self._event_shape = checks.shape("event_shape", event_shape, num_elements=784)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of an image."""
        return self._event_shape

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Height and width, whatever the event shape."""
        return super().image_shape or (28, 28)

    @property
    def kind(self) -> Kind:
        """The kind of the batches: "binary", or "grey" where nothing is binarized."""
        return self.kind_of_batches("grey")


class DownloadedColour(DownloadedDataModule, ABC):
    """A downloaded data set of colour images of 32 x 32 pixels, [3, 32, 32] of intensities in [0, 1].

    Args:
        batch_size: rows of a training batch, over all devices together; the last of an epoch may be smaller.
        seed: of the order of the training batches; by default the run's, without a run 0.
        root: directory of the file; created, and the file downloaded into it, where missing.
    """

    def __init__(self, *, batch_size: int = 100, seed: int | None = None, root: Path = Path("data")) -> None:
        super().__init__(batch_size=batch_size, binarization="none", seed=seed, root=root)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """[3, 32, 32]."""
        return (3, 32, 32)

    @property
    def kind(self) -> Kind:
        """Colour."""
        return "colour"
