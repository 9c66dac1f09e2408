"""`compare gradients`: many estimators on one checkpoint, measured and recorded."""

from collections.abc import Mapping
from functools import partial

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from reparam_suite.commands.expressions import written
from reparam_suite.comparison.gradient_command import GradientCommand, prepared
from reparam_suite.comparison.report import GradientReport
from reparam_suite.diagnostics import (
    BasketRow,
    ReferenceGradient,
    measure,
    reference_gradients,
)
from reparam_suite.runtime.random_streams import forked_generator
from reparam_suite.tracking import RunLogger, Store
from reparam_suite.training import Stopped

_REFERENCE_REPEATS = 4
"""Times the repeats of an estimator: the error of the reference is then below that of most estimators."""


def compare_gradients(args: list[str], console: Console) -> None:
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
    report = GradientReport(command.candidates, written(command.reference), command.options.order_by)
    try:
        _measure(command, report, logger, console)
    except BaseException as error:
        _finish(report, logger, console, store)
        logger.close("KILLED" if isinstance(error, Stopped) else "FAILED")
        raise
    _finish(report, logger, console, store)
    logger.close("FINISHED")


def _started(store: Store, command: GradientCommand) -> RunLogger:
    model, data, checkpoint = command.model, command.data, command.checkpoint
    tags = {
        "comparison": "gradients",
        "measured.run_id": checkpoint.run_id,
        "measured.checkpoint": checkpoint.source,
        "model": type(model).__name__,
        "posterior": type(model.posterior).__name__,
        "bound": type(model.bound).__name__,
        "dataset": data.name,
        "num_threads": str(command.options.num_threads),
        "device": str(command.batches[0].device),
    }
    logger = store.start_run(
        name=f"gradients-{checkpoint.name}",
        parameters={**vars(command.options), "estimators": ", ".join(command.candidates.chosen)},
        tags=tags,
    )
    sizes = {str(split): rows for split, rows in data.sizes.items()}
    logger.log_dataset(data.name, data.digest, data.source, sizes, "comparison")
    return logger


def _measure(command: GradientCommand, report: GradientReport, logger: RunLogger, console: Console) -> None:
    chosen, batches, options = command.candidates.chosen, command.batches, command.options
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=console,
    )
    task = progress.add_task("reference", total=(len(chosen) + 1) * len(batches))
    with progress, forked_generator(batches[0].device, options.seed):
        references: list[Mapping[str, ReferenceGradient]] = []
        for x in batches:
            references.append(_reference_on(x, command))
            progress.advance(task)
            torch.rand(1)  # a measurement starts from the random state that it finds
        rows = measure(
            command.model,
            batches,
            chosen,
            references=references,
            num_repeats=command.repeats_of_a_round,
            memory_budget=options.memory_budget,
            after_batch=lambda name: progress.update(task, advance=1, description=name),
        )
        for row in rows:
            _keep(row, report, logger)


def _reference_on(x: Tensor, command: GradientCommand) -> dict[str, ReferenceGradient]:
    return reference_gradients(
        command.model,
        x,
        command.reference,
        num_repeats=_REFERENCE_REPEATS * command.options.repeats,
        memory_budget=command.options.memory_budget,
    )


def _keep(row: BasketRow, report: GradientReport, logger: RunLogger) -> None:
    # Each as it is done: nothing that was measured is lost, whatever ends the process.
    report.rows.append(row)
    logger.log_text(report.csv(), "gradients.csv")
    logger.log_dict(report.json(), "gradients.json")


def _finish(report: GradientReport, logger: RunLogger, console: Console, store: Store) -> None:
    if report.rows:
        logger.log_figure(report.figure(), "figures/gradient_cost")
        report.show(console)
    console.print(f"run        {logger.run_id}", soft_wrap=True)
    console.print(f"artifacts  {logger.artifact_uri}", soft_wrap=True)
    console.print(f"to look    {store.ui_command}", soft_wrap=True)
