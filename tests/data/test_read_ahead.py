"""Threads that read ahead: batches in their order, no more of them than is due, and errors where they belong."""

import threading
import time

import numpy as np
import pytest
import torch

from reparam_suite.data import DataError, Rows, StreamedArrays
from reparam_suite.data.read_ahead import read_ahead

CPU = torch.device("cpu")


@pytest.mark.parametrize("num_workers", [0, 1, 4])
def test_batches_come_in_their_order_and_a_few_are_read_ahead(num_workers):
    asked, threads = [], set()

    def read(indices):
        asked.append(int(indices))
        threads.add(threading.current_thread().name)
        time.sleep(0.001 * (int(indices) % 3))  # later ones are ready earlier
        return indices * 10

    found = read_ahead(iter(torch.arange(40).unbind()), read, num_workers=num_workers, device=CPU)
    assert asked == []
    assert [int(next(found)) for _ in range(5)] == [0, 10, 20, 30, 40]
    assert len(asked) <= 5 + 2 * num_workers
    assert [int(rows) for rows in found] == list(range(50, 400, 10))
    assert len(threads) <= max(1, num_workers)


def test_threads_end_with_the_iterator():
    found = read_ahead(iter(torch.arange(40).unbind()), lambda indices: indices, num_workers=2, device=CPU)
    next(found)
    assert any(thread.name.startswith("rows") for thread in threading.enumerate())
    found.close()
    for thread in threading.enumerate():
        if thread.name.startswith("rows"):
            thread.join(10)
            assert not thread.is_alive()


def test_an_error_of_a_worker_is_that_of_the_batch(files):
    class Broken(Rows):
        event_shape = (2,)

        def __len__(self):
            return 50

        def read(self, indices):
            if 49 in indices:
                raise DataError("row.png: it cannot be read")
            return np.zeros((len(indices), 2), np.uint8)

    data = StreamedArrays(**files, batch_size=10)
    data.open()
    data._splits["train"] = Broken()  # rows that a file system lost
    with pytest.raises(DataError, match=r"^row\.png: it cannot be read$"):
        list(data.train_dataloader())
