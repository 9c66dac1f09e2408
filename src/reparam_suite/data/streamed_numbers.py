"""Streamed rows of numbers: their kind by their values, or as it is stated."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from reparam_suite.data.kinds import Array, Kind, Values, check_kind, check_stated, kind_of
from reparam_suite.data.streamed import StreamedDataModule, looked_at
from reparam_suite.runtime.errors import DataError


class StreamedNumbers(StreamedDataModule, ABC):
    """Streamed rows whose kind is decided as `Arrays` does, by at most 1,000 rows of each split, or stated.

    Nothing is binarized: uint8 that is not binary gives intensities x / 255.

    Args:
        kind: what the batches shall hold, "binary", "grey", "colour", "real" or "count"; by default decided by type
            and values.
        options: of `StreamedDataModule`: batch_size, seed, num_workers.

    Raises:
        ArgumentValueError: if `kind` is none.
    """

    def __init__(self, *, kind: Kind | None, **options: Any) -> None:
        super().__init__(**options)
        check_kind(kind)
        self._stated = kind
        self._decided: tuple[Kind, int | None] | None = None

    @property
    @abstractmethod
    def where(self) -> str:
        """The beginning of a message about the values."""

    @property
    def kind(self) -> Kind:
        """The kind of the batches."""
        return self._decide()[0]

    @property
    def divisor(self) -> int | None:
        """255 for intensities in uint8."""
        return self._decide()[1]

    def _decide(self) -> tuple[Kind, int | None]:
        if self._decided is None:
            some = {str(split): self._finite(split, looked_at(rows)) for split, rows in self.splits.items()}
            facts = {split: Values.of(rows) for split, rows in some.items()}
            if self._stated is None:
                kind = kind_of(facts, self.event_shape, where=self.where)
            else:
                kind = self._stated
                check_stated(kind, facts, self.event_shape, where=self.where)
                greatest = max(values.greatest for values in facts.values())
                if kind == "binary" and greatest > 1:
                    raise DataError(f'{self.where}: kind "binary": expected 0 and 1, got values up to {greatest:.0f}')
            is_uint8 = all(values.dtype == "uint8" for values in facts.values())
            self._decided = kind, 255 if is_uint8 and kind in ("grey", "colour") else None
        return self._decided

    def _finite(self, split: str, rows: Array) -> Array:
        if rows.dtype.kind == "f" and not np.isfinite(rows).all():
            raise DataError(f"{self.where}: {split}: expected finite values, got NaN or infinity")
        return rows
