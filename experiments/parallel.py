"""Many independent computations at a time, as many as there are processors, with a bar."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

T = TypeVar("T", bound=Hashable)
R = TypeVar("R")


def in_processes(work: Callable[[T], R], tasks: Sequence[T], description: str) -> dict[T, R]:
    """What `work` gives for each task, in the order of the tasks; both have to be picklable."""
    bar = Progress(TextColumn(description), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), transient=True)
    workers = len(os.sched_getaffinity(0))
    spawning = multiprocessing.get_context("spawn")
    with bar, ProcessPoolExecutor(workers, mp_context=spawning) as pool:
        shown = bar.add_task("", total=len(tasks))
        futures = {pool.submit(work, task): task for task in tasks}
        found = {}
        for future in as_completed(futures):
            found[futures[future]] = future.result()
            bar.advance(shown)
    return {task: found[task] for task in tasks}
