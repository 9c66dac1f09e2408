"""The moment at which a run is on record: a new one before it trains, one that resumes once its state is loaded."""

from collections.abc import Callable, Sequence
from typing import final

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.text import Text

from reparam_suite.running.assembly import Assembly
from reparam_suite.running.description import TAG as DESCRIPTION
from reparam_suite.running.description import begun, planned
from reparam_suite.running.loggers import further_loggers
from reparam_suite.running.record import keep_configuration, put_on_record, record_of, run_name_of
from reparam_suite.running.surroundings import Observer
from reparam_suite.running.weights import restore_best
from reparam_suite.runtime.terminal import as_text
from reparam_suite.tracking import RunLogger, Store
from reparam_suite.tracking.names import RUN_NAME, parameter_texts
from reparam_suite.tracking.options import option_tags
from reparam_suite.training import Checkpoints, FurtherLogger, Journal
from reparam_suite.versions import best_recorded


@final
class Beginning(Callback):
    """Puts a run on record: at the start of training, unless `begin` was called before.

    Nothing of a run that resumes is written, in the store or beside its checkpoints, until its checkpoint has been
    loaded under the options that it has now: one that cannot be is refused, and stays as it was.

    Args:
        parts: of the run.
        store: to record in.
        journal: of the run.
        checkpoints: of the run.
        observer: which may add callbacks.
        command: that started the run, if it is known.
        show: is called with lines that name the run and say what its data are taken for.

    Attributes:
        logger: of the run; None before it has begun.
        description: of the run, in Markdown.
    """

    def __init__(
        self,
        *,
        parts: Assembly,
        store: Store,
        journal: Journal,
        checkpoints: Checkpoints,
        observer: Observer,
        command: Sequence[str] | None,
        show: Callable[[Text], object],
    ) -> None:
        self.logger: RunLogger | None = None
        self._parts = parts
        self._store = store
        self._journal = journal
        self._checkpoints = checkpoints
        self._observer = observer
        self.description = begun(parts, command)
        self._show = show
        self._further: list[FurtherLogger] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Begins, if the run has not begun."""
        self.begin()

    def begin(self) -> RunLogger:
        """The run's logger, with everything in place to write to it; begins the run at the first call."""
        if self.logger is not None:
            return self.logger
        parts, resumption = self._parts, self._parts.run.resumption
        self.logger = logger = _recorded(parts, self._store)
        logger.set_tags({DESCRIPTION: self.description})
        put_on_record(parts, logger, self._journal, self._checkpoints, self._store.root)
        self._further = further_loggers(parts.loggers, logger)
        parts.trainer.loggers = [logger, *self._further]
        for further in self._further:
            further.begin(record_of(parts).parameters, self._journal.curves)
        self._journal.listeners.extend(self._further)
        began = f", from step {resumption.step}" if resumption else ""
        self._show(Text.assemble(as_text(logger.run_name, "bold"), "  ", as_text(planned(parts))))
        self._show(as_text(f"recorded as run {logger.run_id} in {parts.run.tracking.root}{began}"))
        self._show(as_text(parts.data.summary))
        parts.trainer.callbacks.extend(self._observer.begun(logger, self._journal))  # type: ignore[attr-defined]
        keep_configuration(parts, self._checkpoints)
        restore_best(self._checkpoints, self._store, logger.run_id)
        return logger

    def end_loggers(self, status: str) -> None:
        """Tells the loggers beside the record how the run has ended: "success" or "failed"."""
        for further in self._further:
            further.end(status)

    def give_up(self) -> None:
        """Ends the record of a run that hangs."""
        if self.logger is not None:
            self.logger.close("FAILED")


def _recorded(parts: Assembly, store: Store) -> RunLogger:
    """The run's record: a new one, or that of a run that resumes."""
    record, resumption = record_of(parts), parts.run.resumption
    if resumption is None:
        return store.start_run(
            name=run_name_of(parts),
            parameters=record.parameters,
            tags={**record.tags, **option_tags(parameter_texts(record.options))},
            config_file=record.text,
        )
    logger = store.resume_run(resumption.run_id)
    logger.log_hyperparams(record.parameters)
    logger.log_options(record.options)
    named = {} if parts.run.name is None else {RUN_NAME: parts.run.name}
    if resumption.earlier:  # it had other tags, and did not record its best value
        logger.set_tags(record.tags)
        for name, (step, value) in best_recorded(resumption.content).items():
            logger.log_metrics({name: value}, step)
    logger.set_tags({**parts.run.tags, **named})
    logger.log_text(record.text, "config.yaml")
    return logger
