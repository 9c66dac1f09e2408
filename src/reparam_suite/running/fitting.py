"""A run from its specification to a finished record, which is complete whatever happens."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers.logger import DummyLogger
from rich.console import Console

from reparam_suite.running.assembly import Assembly, assemble
from reparam_suite.running.beginning import Beginning
from reparam_suite.running.description import TAG as DESCRIPTION
from reparam_suite.running.description import finished
from reparam_suite.running.divergence import divergence
from reparam_suite.running.finishing import finish
from reparam_suite.running.images import sample_record
from reparam_suite.running.optimizer_states import OptimizerStates
from reparam_suite.running.result import Result, result_of
from reparam_suite.running.resumed import check_resumption, refusal
from reparam_suite.running.resumption import checkpoint_directory
from reparam_suite.running.specification import Specification
from reparam_suite.running.stages import Stage, shown_on, silent
from reparam_suite.running.surroundings import Observer, RunStopped, Surroundings
from reparam_suite.running.weights import test_best
from reparam_suite.tracking import Store
from reparam_suite.training import (
    BetweenSteps,
    Checkpoints,
    CompiledStep,
    EndpointRecord,
    GradientRecord,
    Journal,
    LatentRecord,
    PathRecord,
    ProgressBar,
    Replicas,
    SampleRecord,
    StepRecord,
    Stopped,
    StopSignals,
    Validation,
    end_training,
)


def fit(run: Specification, surroundings: Surroundings) -> Result | None:
    """Trains, tests and records.

    Of several processes the first one alone records, shows and returns anything. It opens the store before it joins
    the others, or starts them.

    Raises:
        UsageError: if options are out of range or parts do not fit. Nothing has been created then.
        DataError: if the data cannot be had. Likewise.
        TrackingError: if the run cannot be recorded. Likewise.
        NonFiniteLoss: if training diverged.
        CheckpointError: if the best weights cannot be read again.
        RunStopped: if a signal ended it.
        ProcessLost: if another of several processes has died.
    """
    parts = assemble(run, surroundings)
    trainer, observer = parts.trainer, surroundings.observer
    observer.assembled(parts)
    journal, checkpoints = Journal(), Checkpoints(monitor=parts.monitor)
    console = surroundings.console if trainer.is_global_zero else Console(quiet=True)
    bar = ProgressBar(journal=journal, console=console, monitor=parts.monitor)
    recording = callbacks(parts, journal, checkpoints, surroundings.signals)
    if not observer.in_full:
        recording = [callback for callback in recording if not isinstance(callback, EndpointRecord | SampleRecord)]
    add_callbacks(parts, [*recording, *([] if run.trainer.get("enable_progress_bar") is False else [bar])])
    ended = False
    if run.resumption is not None:
        try:
            resumed = check_resumption(parts, run.resumption, surroundings.tell)
        except Exception as error:
            if (refused := refusal(run.resumption, error)) is not None:
                raise refused from error
            raise
        ended = resumed.ended
        add_callbacks(parts, [OptimizerStates(resumed.optimizer_states)])
    if not trainer.is_global_zero:
        _fit_and_test(parts, checkpoints, observer, ended=ended)
        return None
    store = Store.begin(run.tracking, partial(console.print, soft_wrap=True, markup=False))
    beginning = Beginning(
        parts=parts,
        store=store,
        journal=journal,
        checkpoints=checkpoints,
        observer=observer,
        command=surroundings.relaunch,
        show=partial(console.print, soft_wrap=True),
    )
    status = "failed"
    try:
        if run.resumption is None:
            beginning.begin()
        else:
            trainer.callbacks.insert(trainer.callbacks.index(recording[0]) + 1, beginning)  # type: ignore[attr-defined]
            checkpoints.directory = checkpoint_directory(store.root, run.resumption.run_id)
        stage = shown_on(console)
        num_steps = _fit_and_test(parts, checkpoints, observer, ended=ended, beginning=beginning, stage=stage)
        logger = beginning.begin()
        if (diverged := divergence(journal, parts.monitor)) is not None:
            logger.set_tags({"diverged": f"step {diverged.step}"})
            surroundings.tell(f"run {logger.run_id}: {diverged}")
        finish(parts, logger, journal, checkpoints, num_steps, in_full=observer.in_full, stage=stage)
        checkpoints.keep_best_and_last()
        metrics = {name: curve[-1][1] for name, curve in journal.curves.items()}
        logger.set_tags({DESCRIPTION: finished(beginning.description, logger.run_id, metrics)})
        observer.finished(logger, journal)
        surroundings.signals.wait()  # from here on a signal finds a finished run: the caller acts on it
        status = "success"
    except Stopped as error:
        if beginning.logger is None:
            raise
        logger = beginning.logger
        logger.close(observer.failed(logger, error))
        raise RunStopped(error, trainer.global_step, _resume(run, logger.run_id, surroundings)) from error
    except BaseException as error:
        if beginning.logger is None:
            if (refused := refusal(run.resumption, error)) is not None:
                raise refused from error
            raise
        beginning.logger.close(observer.failed(beginning.logger, error))
        raise
    finally:
        beginning.end_loggers(status)
        _let_go(parts)
    logger.close("FINISHED")
    return result_of(parts, store, logger, journal, num_steps)


def _resume(run: Specification, run_id: str, surroundings: Surroundings) -> str:
    return run.tracking.resume_command(run_id) if surroundings.of_command else f'Run.resume("{run_id}").fit()'


def _fit_and_test(
    parts: Assembly,
    checkpoints: Checkpoints,
    observer: Observer,
    *,
    ended: bool,
    beginning: Beginning | None = None,
    stage: Stage = silent,
) -> int:
    # In all processes together; the optimizer steps that were taken. The first one alone has a record to begin.
    model, data, trainer, resumption = parts.model, parts.data, parts.trainer, parts.run.resumption
    with together(trainer, beginning.give_up if beginning else None):
        checkpoint = resumption.checkpoint if resumption else None
        if not trainer.loggers:
            # A resumed run and a further process get theirs later, or never; callbacks that log ask for one at once.
            trainer.loggers = [DummyLogger()]
        trainer.fit(model, datamodule=data, ckpt_path=checkpoint, weights_only=True)
        if ended:
            if beginning is not None:
                beginning.begin()
            end_training(trainer, model)
        num_steps = trainer.global_step
        with stage("test") if observer.tests and parts.tests else silent("test"):
            test_best(parts, checkpoints, tests=observer.tests)
    return num_steps


@contextmanager
def together(trainer: Trainer, end: Callable[[], object] | None = None) -> Iterator[None]:
    """Within this context several processes train; all of them end with it. It has no effect on a single process.

    Args:
        trainer: of this process.
        end: is called if this process has to be ended while it hangs, because another one has died.

    Raises:
        ProcessLost: if another process has died.
    """
    replicas = trainer.strategy
    if not isinstance(replicas, Replicas):
        yield
        return
    replicas.on_loss(end)
    try:
        yield
    except BaseException as error:
        lost = replicas.lost(error)
        replicas.close(failed=True)
        if lost is not None:
            raise lost from error
        raise
    replicas.close(failed=False)


def callbacks(parts: Assembly, journal: Journal, checkpoints: Checkpoints, signals: StopSignals) -> list[Callback]:
    """The callbacks that record a run and keep its checkpoints."""
    # In this order: values are looked at before a checkpoint is written.
    settings = parts.run.record
    record = StepRecord(every=settings.every, journal=journal, checkpoints=checkpoints)
    return [
        BetweenSteps(settings=parts.run.checkpoint, checkpoints=checkpoints, record=record, signals=signals),
        record,
        Validation(journal=journal, record=record, checkpoints=checkpoints),
        LatentRecord(journal=journal, record=record),
        *sample_record(parts.data, journal, record),
        GradientRecord(every=settings.gradients_every, journal=journal, record=record),
        EndpointRecord(journal=journal, record=record),
        PathRecord(every=settings.gradients_every, journal=journal),
        *([CompiledStep(journal=journal, record=record)] if parts.run.compile else []),
        checkpoints,
    ]


def add_callbacks(parts: Assembly, added: list[Callback]) -> None:
    """Puts callbacks behind those of the user."""
    trainer: Any = parts.trainer
    trainer.callbacks.extend(added)


def _let_go(parts: Assembly) -> None:
    # The model of a result is a module like any other, and refers to no trainer.
    parts.model.to("cpu")
    parts.model.eval()
    parts.model.trainer = None
    parts.data.trainer = None
