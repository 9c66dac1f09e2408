"""Any LightningDataModule, made to answer what a run asks of its data."""

from collections.abc import Callable
from functools import partial
from typing import Any, final

from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.utilities.model_helpers import is_overridden

from reparam_suite.data.base import TRANSFERS, DataModule, Split
from reparam_suite.data.foreign import ForeignDataModule
from reparam_suite.data.kinds import Kind
from reparam_suite.runtime.errors import ArgumentTypeError, DataError
from reparam_suite.runtime.random_streams import unchanged_streams

_LOADERS = {"train": "train_dataloader", "valid": "val_dataloader", "test": "test_dataloader"}

# Lightning takes an empty list of loaders for no such split, and refuses None.
_MAY_BE_NONE = ("val_dataloader", "test_dataloader")

# Methods of another's data module that are called as they are, where they are overridden.
_FORWARDED = (
    *_LOADERS.values(),
    *TRANSFERS,
    "predict_dataloader",
    "prepare_data",
    "on_exception",
    "state_dict",
    "load_state_dict",
)


@final
class AdaptedDataModule(ForeignDataModule):
    """Any LightningDataModule, with the answers that a run needs; made by `adapted`.

    Its own hooks are called as Lightning calls them, each stage set up once. They draw the same random numbers in
    every set-up, whatever the seed: a random split is the same one in every process, run and reading.

    Args:
        module: as it is.
        kind: what x holds; by default decided by the rows that are read.
    """

    def __init__(self, module: LightningDataModule, *, kind: Kind | None = None) -> None:
        self.module = module
        self._set_up: set[str] = set()
        super().__init__(kind=kind)
        self.name = type(module).__name__
        self.source = f"{type(module).__module__}.{type(module).__qualname__}"
        self.prepare_data_per_node = module.prepare_data_per_node
        self.allow_zero_length_dataloader_with_multiple_devices = (
            module.allow_zero_length_dataloader_with_multiple_devices
        )
        self._is_prepared = False
        for hook in _FORWARDED:
            # As attributes: Lightning asks whether a hook is overridden, and takes a shorter path where it is not.
            if is_overridden(hook, module):
                own = getattr(module, hook)
                setattr(self, hook, own if hook not in _MAY_BE_NONE else partial(_loader_or_none_at_all, own))

    @property
    def trainer(self) -> Trainer | None:
        """The trainer, which is set on the module as well."""
        return self.module.trainer

    @trainer.setter
    def trainer(self, trainer: Trainer | None) -> None:
        self.module.trainer = trainer

    def setup(self, stage: str | None = None) -> None:
        """Sets up a stage once; without one, what is needed to train and to test."""
        stages = [stage] if stage is not None else ["fit", *["test"] * is_overridden("test_dataloader", self.module)]
        for name in stages:
            if _plain(name) not in self._set_up:
                with unchanged_streams(0):
                    self.module.setup(name)
                self._set_up.add(_plain(name))

    def teardown(self, stage: str | None = None) -> None:
        """Ends a stage, which is set up anew if data are asked for."""
        if is_overridden("teardown", self.module):
            self.module.teardown(stage)  # type: ignore[arg-type]
            self._set_up.discard(_plain(stage))
            self.forget_loaders()

    def loader(self, split: Split) -> Any:
        """The module's loader of a split, after what has to be prepared and set up; None where there is none."""
        if not is_overridden(_LOADERS[split], self.module):
            return None
        if not self._set_up and not self._is_prepared:
            self.module.prepare_data()
            self._is_prepared = True
        self.setup("test" if split == "test" else "fit")
        with unchanged_streams(0):
            loader = getattr(self.module, _LOADERS[split])()
        if isinstance(loader, list | tuple):  # of loaders: Lightning takes no list for a loader
            if len(loader) > 1:
                raise DataError(f"{self.name}: {_LOADERS[split]}: expected one loader, got {len(loader)}")
            return loader[0] if loader else None
        return loader


def _loader_or_none_at_all(hook: Callable[[], Any]) -> Any:
    loader = hook()
    return [] if loader is None else loader


def _plain(stage: str | None) -> str:
    return str(getattr(stage, "value", stage))  # Lightning's stages are members of an enumeration


def adapted(data: Any, *, kind: Kind | None = None) -> DataModule:
    """`data` as a run takes it: the suite's own as they are, any other LightningDataModule adapted.

    Args:
        data: the data set.
        kind: what x of another's module holds; by default decided by the rows that are read.

    Raises:
        ArgumentTypeError: if it is neither.
    """
    if isinstance(data, DataModule):
        return data
    if isinstance(data, LightningDataModule):
        return AdaptedDataModule(data, kind=kind)
    raise ArgumentTypeError(
        f"data: expected a data set of the suite or a LightningDataModule, got {type(data).__name__}; "
        "arrays are taken by Arrays.of(train=, valid=), loaders by Loaders(train=, valid=)"
    )
