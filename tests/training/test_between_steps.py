"""Between two steps: a checkpoint when one is due, and the end of the run when a signal has come."""

import signal
from types import SimpleNamespace
from typing import Any

import pytest

from reparam_suite.training import BetweenSteps, CheckpointSettings, Stopped, StopSignals


class Run:
    """A run in which a checkpoint is due every fourth step; what is done between two steps is noted.

    Args:
        accumulated: batches that make a step.
        elsewhere: whether another of several processes has been sent a signal.
    """

    def __init__(self, *, accumulated: int = 1, elsewhere: bool = False) -> None:
        self.done: list[tuple[str, int]] = []
        self.signals = StopSignals()
        epoch_loop = SimpleNamespace(_batches_that_stepped=99)
        self.trainer: Any = SimpleNamespace(
            accumulate_grad_batches=accumulated,
            global_step=0,
            strategy=SimpleNamespace(reduce_boolean_decision=lambda own, all: own or elsewhere),  # noqa: A006
            fit_loop=SimpleNamespace(epoch_loop=epoch_loop),
        )
        checkpoints: Any = SimpleNamespace(
            due=lambda trainer, settings: trainer.global_step % settings.every_steps == 0 < trainer.global_step,
            write=lambda trainer: self.done.append(("written", trainer.global_step)),
        )
        record: Any = SimpleNamespace(
            pause=lambda: self.done.append(("paused", self.trainer.global_step)),
            check_finite=lambda trainer, _: self.done.append(("looked at", trainer.global_step)),
        )
        self.callback = BetweenSteps(
            settings=CheckpointSettings(every_steps=4), checkpoints=checkpoints, record=record, signals=self.signals
        )

    def batches(self, number: int) -> None:
        """Trains on so many batches."""
        accumulated = self.trainer.accumulate_grad_batches
        for index in range(number):
            self.trainer.global_step = index // accumulated
            self.callback.on_train_batch_start(self.trainer, None, None, index)


def test_a_checkpoint_is_written_where_it_is_due_with_the_clock_stopped_and_nothing_broken():
    run = Run()
    run.batches(10)
    assert run.done == [(what, step) for step in (4, 8) for what in ("paused", "looked at", "written")]
    assert run.trainer.fit_loop.epoch_loop._batches_that_stepped == 0, "corrected once, at the first step"


def test_within_a_step_of_several_batches_nothing_is_written():
    run = Run(accumulated=3)
    run.batches(15)
    assert [step for what, step in run.done if what == "written"] == [4]


def test_a_signal_is_held_back_and_ends_the_run_after_a_checkpoint_of_its_step():
    run = Run()
    run.callback.on_train_start(run.trainer, None)
    assert run.signals.waits
    run.batches(3)
    run.signals.received = signal.SIGINT
    run.trainer.global_step = 3
    with pytest.raises(Stopped) as stopped:
        run.callback.on_train_batch_start(run.trainer, None, None, 3)
    assert (stopped.value.exit_code, run.done[-1]) == (130, ("written", 3))


def test_a_signal_to_another_process_ends_all_of_them_together():
    run = Run(elsewhere=True)
    with pytest.raises(Stopped) as stopped:
        run.batches(1)
    assert (stopped.value.exit_code, run.done[-1]) == (143, ("written", 0))


def test_after_the_last_step_a_signal_acts_at_once_and_after_an_error_it_is_let_through():
    run = Run()
    run.callback.on_train_start(run.trainer, None)
    run.signals.received = signal.SIGTERM
    with pytest.raises(Stopped):
        run.callback.on_train_end(run.trainer, None)
    run = Run()
    run.callback.on_train_start(run.trainer, None)
    run.signals.received = signal.SIGTERM
    run.callback.on_exception(run.trainer, None, ValueError())
    assert not run.signals.waits
