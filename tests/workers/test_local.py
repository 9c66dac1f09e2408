"""Workers of this machine, as the process that started them sees them."""

import multiprocessing
import os
import signal
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from reparam_suite.runtime.errors import StateError
from reparam_suite.workers import check_main_guard, local
from reparam_suite.workers.local import LocalProcesses, LocalWorker


class Process:
    """A process that notes what is done to it."""

    pid, sentinel = 17, 3

    def __init__(self, exitcode: int | None = None, **given: Any) -> None:
        self.exitcode, self.given = exitcode, given
        self.calls: list[tuple[Any, ...]] = []

    def start(self):
        self.calls.append(("start", signal.getsignal(signal.SIGINT)))

    def join(self, patience=None):
        self.calls.append(("join", patience))

    def terminate(self):
        self.calls.append(("terminate",))

    def kill(self):
        self.calls.append(("kill",))


@pytest.fixture
def started(monkeypatch):
    """The process of a worker that was started with the number 4, for a function."""
    made = []

    def process_of(**given):
        made.append(Process(**given))
        return made[-1]

    monkeypatch.setattr(local, "start_server", lambda: None)
    monkeypatch.setattr(multiprocessing, "get_context", lambda kind: SimpleNamespace(Process=process_of))

    def start(serve):
        LocalProcesses(serve, 2).start(4)
        return made[-1]

    return start


@pytest.mark.parametrize(
    ("code", "ended", "told"),
    [
        (None, False, None),
        (0, True, None),
        (3, True, "ended with exit code 3"),
        (-signal.SIGKILL, True, "was killed by SIGKILL"),
        (-signal.SIGSEGV, True, "was killed by SIGSEGV"),
    ],
)
def test_an_exit_code_says_how_it_died(code, ended, told):
    worker = LocalWorker(Process(code))
    assert worker.has_ended(0.5) == ended
    assert worker.death() == told
    assert (worker.name, worker.sentinel) == ("worker 17", 3)


def test_it_is_asked_to_end_and_waited_for_where_it_is_killed():
    process = Process()
    worker = LocalWorker(process)
    worker.stop()
    worker.kill()
    worker.has_ended(2.0)
    assert process.calls == [("terminate",), ("kill",), ("join", None), ("join", 2.0)]


def test_ctrl_c_is_left_to_the_process_that_starts_it(started):
    before = signal.getsignal(signal.SIGINT)
    process = started(print)
    assert process.calls == [("start", signal.SIG_IGN)]
    assert signal.getsignal(signal.SIGINT) is before


def test_it_works_in_the_environment_of_its_starter_with_one_thread(started, monkeypatch):
    seen = {}
    monkeypatch.setattr(torch, "set_num_threads", lambda number: seen.update(threads=number))
    monkeypatch.setenv("A_VARIABLE", "here")
    process = started(lambda number: seen.update(number=number, environment=dict(os.environ)))
    before = dict(os.environ)
    try:
        os.environ["A_VARIABLE"], os.environ["OF_THE_SERVER"] = "there", "old"  # where processes are forked
        process.given["target"](*process.given["args"])
    finally:
        os.environ.clear()
        os.environ.update(before)
    assert seen == {"threads": 1, "number": 4, "environment": before}


def test_a_script_that_starts_workers_while_one_of_them_imports_it_is_refused(monkeypatch):
    check_main_guard()
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(StateError, match='expected the start under `if __name__ == "__main__":`'):
        check_main_guard()
