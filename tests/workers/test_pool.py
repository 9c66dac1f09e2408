"""A pool of made-up workers: who is replaced, who is ended, and when there is nobody left."""

import signal

import pytest

from reparam_suite.training import Stopped, StopSignals
from reparam_suite.workers import pool
from reparam_suite.workers.pool import Worker, WorkerPool, WorkersLost, end


class Scripted(Worker):
    """A worker that ends at a look, of a cause or of none; `stubborn` ones do not end when they are asked to."""

    def __init__(self, number: int, cause: str | None, looks: int, *, stubborn: bool = False) -> None:
        self.name = f"worker {number}"
        self.calls: list[str] = []
        self._cause, self._left, self._stubborn = cause, looks, stubborn

    def has_ended(self, patience: float) -> bool:
        self._left -= 1
        return self._left < 0

    def death(self) -> str | None:
        return self._cause

    def stop(self) -> None:
        self.calls.append("stop")
        self._left = self._left if self._stubborn else 0

    def kill(self) -> None:
        self.calls.append("kill")


class Pool(WorkerPool):
    """Starts the workers of a script, (cause, looks) each, and notes them."""

    def __init__(self, num_workers: int, *script: tuple[str | None, int]) -> None:
        super().__init__(lambda number: None, num_workers)
        self.started: list[Scripted] = []
        self._script = list(script)

    def start(self, number: int) -> Worker:
        cause, looks = self._script.pop(0)
        self.started.append(Scripted(number, cause, looks))
        return self.started[-1]


def run(made: Pool, *, finished_after: int, signals: StopSignals | None = None) -> tuple[list[str], int]:
    """The lines that were told, and how often all workers were looked at."""
    told: list[str] = []
    looks: list[int] = []
    made.run(
        finished=lambda: len(looks) >= finished_after,
        signals=signals or StopSignals(),
        watch=lambda: looks.append(len(looks)),
        tell=told.append,
    )
    return told, len(looks)


def test_it_ends_with_the_work_and_asks_workers_that_are_left_to_end():
    made = Pool(2, (None, 99), (None, 99))
    assert run(made, finished_after=3) == ([], 3)
    assert [worker.calls for worker in made.started] == [["stop"], ["stop"]]


def test_a_worker_that_died_is_told_and_replaced_and_one_that_ended_well_is_not():
    made = Pool(2, ("was killed by SIGKILL", 1), (None, 2), (None, 99))
    told, _ = run(made, finished_after=5)
    assert told == ["worker 0 was killed by SIGKILL"]
    assert [worker.name for worker in made.started] == ["worker 0", "worker 1", "worker 2"]


def test_after_three_replacements_for_each_there_is_nobody_left():
    made = Pool(1, *[("died", 0)] * 10)
    with pytest.raises(
        WorkersLost, match=r"^no worker is left: worker 0 died; worker 1 died; worker 2 died; worker 3 died$"
    ):
        run(made, finished_after=99)
    assert len(made.started) == 4


def test_workers_that_all_end_well_before_the_work_is_done_are_an_error_too():
    with pytest.raises(WorkersLost, match="no worker is left: all were asked to end"):
        run(Pool(2, (None, 0), (None, 1)), finished_after=99)


def test_a_signal_lets_workers_finish_and_is_raised_after_them():
    made, signals = Pool(2, (None, 99), (None, 99)), StopSignals()

    def watch():
        signals.received = signal.SIGTERM

    with pytest.raises(Stopped):
        made.run(finished=lambda: False, signals=signals, watch=watch, tell=print)
    assert [worker.calls for worker in made.started] == [["stop"], ["stop"]]


def test_who_does_not_end_in_time_is_killed(monkeypatch):
    monkeypatch.setattr(pool, "_GRACE", 0.0)
    workers = [Scripted(0, None, 99), Scripted(1, None, 99, stubborn=True)]
    end(workers)
    assert [worker.calls for worker in workers] == [["stop"], ["stop", "kill"]]
