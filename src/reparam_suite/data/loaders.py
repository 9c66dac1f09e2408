"""A user's own loaders, by split."""

from collections.abc import Iterable, Sequence
from typing import Any, final

from reparam_suite.data.base import Split
from reparam_suite.data.foreign import ForeignDataModule
from reparam_suite.data.kinds import Kind
from reparam_suite.data.reading import BatchList, is_loader
from reparam_suite.runtime import checks
from reparam_suite.runtime.errors import ArgumentTypeError, DataError


@final
class Loaders(ForeignDataModule):
    """Loaders by split: torch DataLoaders, or other iterables of batches that can be iterated anew in every epoch.

    Batches are handed over as they come; a VAE takes x, or the first member of a tuple. Without `test` there is no
    test split.

    Args:
        train: batches to train on.
        valid: batches to validate on.
        test: batches to test on.
        name: of the data set.
        kind: what x holds, "binary", "grey", "colour", "real" or "count"; by default decided by the rows that are read.

    Raises:
        ArgumentTypeError: if a loader is none, or can be iterated only once.
        DataError: if batches do not hold one kind of data of one shape.
    """

    source = "loaders"

    def __init__(
        self,
        *,
        train: Iterable[Any],
        valid: Iterable[Any],
        test: Iterable[Any] | None = None,
        name: str = "loaders",
        kind: Kind | None = None,
    ) -> None:
        super().__init__(kind=kind)
        self.name = checks.name("name", name)
        self._loaders: dict[Split, Any] = {}
        given: dict[Split, Any] = {"train": train, "valid": valid, "test": test}
        for split, loader in given.items():
            if not (is_loader(loader) or (split == "test" and loader is None)):
                raise ArgumentTypeError(
                    f"{split}: expected a DataLoader or another iterable of batches that can be iterated in every "
                    f"epoch, got {type(loader).__name__}"
                )
            self._loaders[split] = BatchList(loader) if isinstance(loader, Sequence) else loader

    def loader(self, split: Split) -> Any:
        """The loader of a split; None where there is none."""
        return self._loaders[split]

    def train_dataloader(self) -> Any:
        """The loader to train on."""
        return self._loaders["train"]

    def val_dataloader(self) -> Any:
        """The loader to validate on."""
        return self._loaders["valid"]

    def test_dataloader(self) -> Any:
        """The loader to test on."""
        if not self.has("test"):
            raise DataError(f"{self.name}: expected a test split, got none")
        return self._loaders["test"]
