"""The specification of a run, and the checks of its values."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lightning.pytorch import LightningDataModule, LightningModule

from reparam_suite.running.resumption import Resumption
from reparam_suite.runtime import checks
from reparam_suite.tracking import LONGEST_NAME, TrackingSettings, check_key
from reparam_suite.training import CheckpointSettings, RecordSettings

DEFAULT_STEPS = 5_000
"""Of a run that is given neither a number of steps nor one of epochs."""


@dataclass(frozen=True, eq=False)
class Specification:
    """The arguments of `Run`, checked."""

    model: LightningModule | Callable[[], LightningModule]
    data: LightningDataModule | Callable[[], LightningDataModule]
    seed: int = field(default=0, kw_only=True)
    max_steps: int | None = field(default=None, kw_only=True)
    max_epochs: int | None = field(default=None, kw_only=True)
    name: str | None = field(default=None, kw_only=True)
    tags: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    monitor: str | None = field(default=None, kw_only=True)
    compile: bool = field(default=False, kw_only=True)
    progress: bool = field(default=False, kw_only=True)
    trainer: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    loggers: Sequence[Any] = field(default=(), kw_only=True)
    record: RecordSettings = field(default=RecordSettings(), kw_only=True)
    checkpoint: CheckpointSettings = field(default=CheckpointSettings(), kw_only=True)
    tracking: TrackingSettings = field(default=TrackingSettings(), kw_only=True)
    resumption: Resumption | None = field(default=None, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", checks.seed("seed", self.seed))
        if self.name is not None:
            checks.name("name", self.name, most=LONGEST_NAME)
        self._check_types()
        for key, value in self.tags.items():
            check_key("tags", key)
            if not isinstance(value, str):
                raise TypeError(f"tags: expected a string for {key!r}, got {value!r:.200}")
        for name in ("max_steps", "max_epochs"):
            given = getattr(self, name)
            if given is not None:
                object.__setattr__(self, name, checks.as_integer(name, given))
            if given is not None and given != -1 and given < 1:
                raise ValueError(f"{name}: expected at least 1, or -1 for no limit, got {given}")
            if name in self.trainer:
                raise ValueError(f"trainer: {name} is an argument of Run itself, got it in trainer")
        for name, accepted in {"model": LightningModule, "data": LightningDataModule}.items():
            given = getattr(self, name)
            makes = issubclass(given, accepted) if isinstance(given, type) else callable(given)
            if not isinstance(given, accepted) and not makes:
                raise TypeError(
                    f"{name}: expected a {accepted.__name__}, or a callable without arguments that makes one, "
                    f"got {given!r:.200}"
                )

    def _check_types(self) -> None:
        settings = {"record": RecordSettings, "checkpoint": CheckpointSettings, "tracking": TrackingSettings}
        for name, accepted in settings.items():
            if not isinstance(given := getattr(self, name), accepted):
                raise TypeError(f"{name}: expected {accepted.__name__}, got {given!r:.200}")
        if not isinstance(self.loggers, Sequence) or isinstance(self.loggers, str):
            raise TypeError(f"loggers: expected a list of loggers, got {self.loggers!r:.200}")
        for name in ("tags", "trainer"):
            if not isinstance(given := getattr(self, name), Mapping):
                raise TypeError(f"{name}: expected a mapping, got {given!r:.200}")
            for key in given:
                if not isinstance(key, str):
                    raise TypeError(f"{name}: expected names that are strings, got {key!r:.200}")
        if self.monitor is not None and not isinstance(self.monitor, str):
            raise TypeError(f"monitor: expected the name of a metric, got {self.monitor!r:.200}")
