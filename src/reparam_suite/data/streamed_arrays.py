"""Arrays larger than memory, in .npy files."""

from pathlib import Path
from typing import cast, final

from reparam_suite.data import conversion
from reparam_suite.data.base import Split
from reparam_suite.data.kinds import Kind
from reparam_suite.data.rows import FEWEST_TENTHS, NpyRows, Rows, SomeRows, tenths
from reparam_suite.data.streamed_numbers import StreamedNumbers
from reparam_suite.runtime.errors import DataError


@final
class StreamedArrays(StreamedNumbers):
    """Arrays of your own that need not fit into memory: .npy files, each [N, ...], read as they are needed.

    The kind of the values is decided as `Arrays` does, by at most 1,000 rows of each split, or stated; nothing is
    binarized: uint8 that is not binary gives intensities x / 255. Without `valid`, the ninth of every ten rows of
    `train` validates; without `test`, the tenth tests.

    Args:
        train: file of rows to train on.
        valid: file of rows to validate on.
        test: file of rows to test on.
        kind: what the batches shall hold, "binary", "grey", "colour", "real" or "count"; by default decided by type
            and values.
        batch_size: rows of a training batch, over all devices together; the last of an epoch may be smaller.
        seed: of the order of the training batches; by default the run's, without a run 0.
        num_workers: threads that read batches before they are asked for; 0 reads them when they are.

    Raises:
        DataError: if a file cannot be read, or files do not fit together; names the file.
    """

    def __init__(
        self,
        *,
        train: Path,
        valid: Path | None = None,
        test: Path | None = None,
        kind: Kind | None = None,
        batch_size: int = 100,
        seed: int | None = None,
        num_workers: int = 2,
    ) -> None:
        super().__init__(kind=kind, batch_size=batch_size, seed=seed, num_workers=num_workers)
        self.train = Path(train)
        self.valid = None if valid is None else Path(valid)
        self.test = None if test is None else Path(test)
        self.source = str(train)
        self.name = f"StreamedArrays-{self.train.stem}"

    def find(self) -> dict[Split, Rows]:
        """The files' rows."""
        files = {"train": self.train, "valid": self.valid, "test": self.test}
        given = {split: self._rows(split, path) for split, path in files.items() if path is not None}
        train = given["train"]
        for split, rows in given.items():
            if rows.event_shape != train.event_shape or rows.dtype != train.dtype:
                raise DataError(
                    f"{files[split]}: expected {train.dtype} [N, {', '.join(map(str, train.event_shape))}] like "
                    f"{self.train}, got {rows.dtype} {[len(rows), *rows.event_shape]}"
                )
        takes = {split: split not in given for split in ("valid", "test")}
        if any(takes.values()) and len(train) < FEWEST_TENTHS:
            raise DataError(
                f"{self.train}: expected at least {FEWEST_TENTHS} rows to take validation and test rows from, "
                f"got {len(train)}; or give valid and test"
            )
        taken = {split: SomeRows(train, chosen) for split, chosen in tenths(len(train), **takes).items()}
        return cast("dict[Split, Rows]", {split: given.get(split) for split in files} | taken)

    def _rows(self, split: str, path: Path) -> NpyRows:
        rows = NpyRows(path)
        conversion.check_form(str(path), split, (len(rows), *rows.event_shape), rows.dtype)
        return rows

    @property
    def where(self) -> str:
        """The file of the training rows."""
        return str(self.train)
