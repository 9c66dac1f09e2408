"""The logger that a run gives to Lightning: what a model logs becomes part of the run's journal."""

from argparse import Namespace
from collections.abc import Mapping
from typing import Any, final

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import Logger

from reparam_suite.training.journal import Journal
from reparam_suite.training.lightning_internals import batches_that_stepped


@final
class JournalLogger(Logger):
    """Records in the journal what is logged through Lightning: by `self.log` of a model, by callbacks of others.

    Metrics get the number of optimizer steps taken, where Lightning's own count is one behind while the step's batch,
    with the validation that follows it, is not over. "epoch", which Lightning adds to all, is left out. Everything that
    is no metric goes to the store's own logger, if the journal has one.

    Args:
        journal: to record in.
        trainer: which counts the steps.
    """

    def __init__(self, *, journal: Journal, trainer: Trainer) -> None:
        self._journal = journal
        self._trainer = trainer

    @property
    def _inner(self) -> Logger | None:
        return self._journal.logger if isinstance(self._journal.logger, Logger) else None

    @property
    def name(self) -> str | None:
        """The name of the store's logger."""
        return None if self._inner is None else self._inner.name

    @property
    def version(self) -> int | str | None:
        """The version of the store's logger: the run's id."""
        return None if self._inner is None else self._inner.version

    @property
    def save_dir(self) -> str | None:
        """The directory of the store's logger."""
        return None if self._inner is None else self._inner.save_dir

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Records metrics."""
        own = step is None or step == batches_that_stepped(self._trainer)
        values = {name: float(value) for name, value in metrics.items() if name != "epoch"}
        self._journal.write(values, self._trainer.global_step if own or step is None else step)

    def log_hyperparams(self, params: Mapping[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Hands hyperparameters to the store's logger."""
        if self._inner is not None:
            self._inner.log_hyperparams(params, *args, **kwargs)

    def save(self) -> None:
        """Lets the store's logger save."""
        if self._inner is not None:
            self._inner.save()

    def finalize(self, status: str) -> None:
        """Tells the store's logger how a fit or a test has ended."""
        if self._inner is not None:
            self._inner.finalize(status)
