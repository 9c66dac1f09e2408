"""A folder of images."""

import logging
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, final, get_args

from reparam_suite.data.base import Split
from reparam_suite.data.image_files import Colour, Crop, ImageRows, fault_of, files_in, size_of
from reparam_suite.data.kinds import LIGHT, Kind
from reparam_suite.data.rows import FEWEST_TENTHS, Rows, tenths
from reparam_suite.data.streamed import StreamedDataModule
from reparam_suite.runtime import checks
from reparam_suite.runtime.errors import ArgumentValueError, DataError

_log = logging.getLogger(__name__)

_NAMED = 5  # files that one message names
_SEEN = 16  # images, of which one is to be light
_FOLDERS: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "valid": ("valid", "val", "validation"),
    "test": ("test",),
}


@final
class ImageFolder(StreamedDataModule):
    """Images in a folder, flat or in folders of classes, which are not used; read as they are needed.

    Every file with the suffix of an image counts, in the folders below as well. If there is a folder `train`, it is the
    training split, and folders `valid` (or `val`, `validation`) and `test` are the others. Otherwise, and without those
    two, the ninth of every ten images in the order of their names validates, and the tenth tests.

    Batches are [b, 3, H, W], or [b, 1, H, W] in grey, of intensities in [0, 1]; nothing is binarized. Images of labels,
    or of another scale than 0 to 255, come out nearly black, and a line says so.

    Args:
        path: of the folder.
        size: height and width of the images in pixels, or one number for both; by default that of the files, which then
            have to agree.
        crop: of images of another size: "centre" scales the shorter side and cuts the longer one at both ends; "none"
            scales both, whatever becomes of the proportions.
        kind: "colour" or "grey".
        batch_size: rows of a training batch, over all devices together; the last of an epoch may be smaller.
        seed: of the order of the training batches; by default the run's, without a run 0.
        num_workers: threads that read batches before they are asked for; 0 reads them when they are.

    Raises:
        ArgumentValueError: if an argument is out of range.
        DataError: when the data are asked for, if files cannot be used; names them.
    """

    def __init__(
        self,
        *,
        path: Path,
        size: int | Sequence[int] | None = None,
        crop: Crop = "centre",
        kind: Colour = "colour",
        batch_size: int = 100,
        seed: int | None = None,
        num_workers: int = 2,
    ) -> None:
        super().__init__(batch_size=batch_size, seed=seed, num_workers=num_workers)
        checks.one_of("crop", crop, get_args(Crop))
        checks.one_of("kind", kind, get_args(Colour))
        self.path = Path(path)
        self._size = None if size is None else _sides(size)
        self.size = self._size[0] if self._size is not None and not isinstance(size, Sequence) else self._size
        self.crop: Crop = crop
        self._kind: Colour = kind
        self.source = str(path)
        self.name = f"ImageFolder-{self.path.resolve().name}"

    @property
    def kind(self) -> Kind:
        """Colour or grey, as it was stated."""
        return self._kind

    @property
    def divisor(self) -> int:
        """255."""
        return 255

    def find(self) -> dict[Split, Rows]:
        """The images of each split."""
        if not self.path.is_dir():
            raise DataError(f"{self.path}: expected a folder of images, got {_what_is_at(self.path)}")
        files = self._files_by_split()
        every = [path for some in files.values() for path in some]
        self._check_each(every)
        size = self._common_size(every)
        rows = {split: ImageRows(some, size=size, crop=self.crop, colour=self._kind) for split, some in files.items()}
        if (greatest := int(rows["train"].spread(_SEEN).max())) < LIGHT:  # masks, or levels of another scale
            _log.warning(
                "%s: expected intensities that reach %d to 255, got at most %d in %d images, which are "
                "trained on as nearly black ones",
                *(self.path, LIGHT, greatest, min(_SEEN, len(rows["train"]))),
            )
        return dict(rows)

    def _files_by_split(self) -> dict[Split, list[Path]]:
        if not (self.path / "train").is_dir():
            return self._taken(files_in(self.path), {})
        given: dict[Split, list[Path]] = {
            split: files_in(self.path / name)
            for split, names in _FOLDERS.items()
            for name in names
            if (self.path / name).is_dir()
        }
        for split, files in given.items():
            if not files:
                raise DataError(f"{self.path}/{split}: expected images, got none")
        return self._taken(given.pop("train"), given)

    def _taken(self, train: list[Path], given: dict[Split, list[Path]]) -> dict[Split, list[Path]]:
        takes = {split: split not in given for split in ("valid", "test")}
        if any(takes.values()) and len(train) < FEWEST_TENTHS:
            raise DataError(
                f"{self.path}: expected at least {FEWEST_TENTHS} images to take validation and test images from, "
                f"got {len(train) or 'none'}; or folders train, valid and test"
            )
        numbers = tenths(len(train), **takes)
        found: dict[Split, list[Path]] = {"train": [train[index] for index in numbers["train"]]}
        for split in ("valid", "test"):
            found[split] = given[split] if split in given else [train[index] for index in numbers[split]]
        return found

    def _check_each(self, files: Sequence[Path]) -> None:
        with ThreadPoolExecutor(max(1, self.num_workers)) as pool:
            faults = dict(zip(files, pool.map(fault_of, files), strict=True))
        bad = [f"{path.relative_to(self.path)}: {fault}" for path, fault in faults.items() if fault is not None]
        if bad:
            more = f"; and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
            raise DataError(
                f"{self.path}: expected images that can be used, got {len(bad)} of {len(files)} that cannot: "
                f"{'; '.join(bad[:_NAMED])}{more}"
            )

    def _common_size(self, files: Sequence[Path]) -> tuple[int, int]:
        if self._size is not None:
            return self._size
        with ThreadPoolExecutor(max(1, self.num_workers)) as pool:
            sizes = dict(zip(files, pool.map(size_of, files), strict=True))
        (common, number), *others = Counter(sizes.values()).most_common()
        if others:
            odd = next(path for path, size in sizes.items() if size != common)
            height, width = sizes[odd]
            raise DataError(
                f"{self.path}: expected images of one size, got {number} of {common[0]} x {common[1]} and "
                f"{odd.relative_to(self.path)} of {height} x {width}: state the `size` that they are to have"
            )
        return common


def _sides(size: Any) -> tuple[int, int]:
    sides = size if isinstance(size, Sequence) and not isinstance(size, str) else (size, size)
    height_and_width = [checks.integer("size", side, least=1) for side in sides]
    if len(height_and_width) != 2:
        raise ArgumentValueError(f"size: expected one number, or height and width, got {size!r}")
    return height_and_width[0], height_and_width[1]


def _what_is_at(path: Path) -> str:
    return "a file" if path.exists() else "a path that does not exist"
