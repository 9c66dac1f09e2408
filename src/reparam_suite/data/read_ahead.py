"""Batches that are read by threads, and are on their way to the device, before they are asked for."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import torch
from torch import Tensor

_AHEAD = 2  # batches for each thread


def read_ahead(
    batches: Iterator[Tensor], read: Callable[[Tensor], Tensor], *, num_workers: int, device: torch.device
) -> Iterator[Tensor]:
    """The rows of batches in their order, whatever the number of threads, on the device.

    Args:
        batches: indices of the rows of each.
        read: from indices to rows on the CPU; called in threads where there are any.
        num_workers: threads that read; 0: a batch is read when it is asked for.
        device: where the rows go; from page-locked memory and beside the computation, where it is a GPU.
    """
    pinned = device.type == "cuda"

    def rows(indices: Tensor) -> Tensor:
        return read(indices).pin_memory() if pinned else read(indices)

    found = _in_threads(batches, rows, num_workers) if num_workers else map(rows, batches)
    return _sent_ahead(found, device) if pinned else (each.to(device) for each in found)


def _in_threads(batches: Iterator[Tensor], rows: Callable[[Tensor], Tensor], num_workers: int) -> Iterator[Tensor]:
    pool = ThreadPoolExecutor(num_workers, thread_name_prefix="rows")
    try:
        begun: deque[Future[Tensor]] = deque(pool.submit(rows, each) for each in islice(batches, _AHEAD * num_workers))
        while begun:
            found = begun.popleft().result()
            begun.extend(pool.submit(rows, each) for each in islice(batches, 1))
            yield found
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _sent_ahead(found: Iterator[Tensor], device: torch.device) -> Iterator[Tensor]:
    # A batch is copied in a stream of its own while the one before it is used.
    stream = torch.cuda.Stream(device)
    ahead: tuple[Tensor, torch.cuda.Event] | None = None
    for rows in found:
        with torch.cuda.stream(stream):
            copied = rows.to(device, non_blocking=True), stream.record_event()
        if ahead is not None:
            yield _arrived(*ahead, device)
        ahead = copied
    if ahead is not None:
        yield _arrived(*ahead, device)


def _arrived(rows: Tensor, copied: torch.cuda.Event, device: torch.device) -> Tensor:
    # The computation waits for the copy, and the memory for the computation.
    current = torch.cuda.current_stream(device)
    current.wait_event(copied)
    rows.record_stream(current)
    return rows
