"""`compare gradients`: many estimators on one checkpoint, measured by `comparisons` and recorded."""

from functools import partial

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from reparam_suite.comparison.compare import comparisons
from reparam_suite.comparison.gradient_command import GradientCommand, prepared
from reparam_suite.comparison.gradient_comparison import GradientComparison
from reparam_suite.comparison.gradient_report import GradientReport
from reparam_suite.diagnostics.measuring import device_of
from reparam_suite.tracking import RunLogger, Store
from reparam_suite.tracking.views import COMPARISON, KIND
from reparam_suite.training import Stopped, StopSignals


def compare_checkpoint(args: list[str], console: Console, signals: StopSignals) -> None:
    """Measures, prints and records; what was measured before an interruption is kept.

    Raises:
        UsageError: if an argument cannot be used. Nothing has been created then.
        DataError: if the data cannot be had.
        TrackingError: if the comparison cannot be recorded.
        Stopped: if a signal ended it.
    """
    command = prepared(args)
    store = Store.begin(command.tracking, partial(console.print, soft_wrap=True, markup=False))
    logger = _started(store, command)
    record = _Record(command, logger)
    try:
        _measure(command, record, console)
    except BaseException as error:
        signals.wait()
        record.finish(console, store)
        logger.close("KILLED" if isinstance(error, Stopped) else "FAILED")
        raise
    signals.wait()  # all is measured: it is shown and recorded whole
    record.finish(console, store)
    logger.close("FINISHED")


class _Record:
    # Written after every estimator: nothing that was measured is lost, however the process ends.
    def __init__(self, command: GradientCommand, logger: RunLogger) -> None:
        self._command = command
        self._logger = logger
        self._comparison: GradientComparison | None = None

    def keep(self, comparison: GradientComparison) -> None:
        if comparison.rows:
            self._comparison = comparison
            report = self._report(comparison)
            self._logger.log_text(report.csv(), "gradients.csv")
            self._logger.log_dict(report.json(), "gradients.json")

    def finish(self, console: Console, store: Store) -> None:
        if self._comparison is not None:
            self._logger.log_figure(self._comparison.figure(self._command.order_by), "figures/gradient_cost")
            self._report(self._comparison).show(console)
        console.print(f"run        {self._logger.run_id}", soft_wrap=True)
        console.print(f"artifacts  {self._logger.artifact_uri}", soft_wrap=True)
        console.print(f"MLflow UI  {store.ui_command}", soft_wrap=True)

    def _report(self, comparison: GradientComparison) -> GradientReport:
        return GradientReport(comparison, self._command.order_by, self._command.candidates.left_out)


def _started(store: Store, command: GradientCommand) -> RunLogger:
    model, data, checkpoint = command.model, command.data, command.checkpoint
    tags = {
        KIND: COMPARISON,
        "comparison": "gradients",
        "measured.run_id": checkpoint.run_id,
        "measured.checkpoint": checkpoint.source,
        "model": type(model).__name__,
        "dataset": data.name,
        "num_threads": str(command.options.num_threads),
        "device": str(device_of(model)),
    }
    logger = store.start_run(
        name=f"gradients-{checkpoint.name}",
        parameters={**vars(command.options), "estimators": ", ".join(command.candidates.chosen)},
        tags=tags,
    )
    rows = {str(split): number for split, number in data.num_rows.items()}
    logger.log_dataset(data.name, data.digest or "none", data.source, rows, "comparison")
    return logger


def _measure(command: GradientCommand, record: _Record, console: Console) -> None:
    chosen, batches, options = command.candidates.chosen, command.batches, command.options
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=console,
    )
    task = progress.add_task("reference", total=(len(chosen) + 1) * len(batches))
    torch.manual_seed(options.seed)  # again: making a model draws its first weights
    measured = comparisons(
        command.model,
        batches,
        chosen.values(),
        reference=command.reference,
        train_on=command.training_batches(),
        num_repeats=options.repeats,
        memory_budget=options.memory_budget,
        after_batch=lambda name: progress.update(task, advance=1, description=name),
    )
    with progress:
        for comparison in measured:
            record.keep(comparison)
