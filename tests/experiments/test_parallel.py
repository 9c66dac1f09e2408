"""Work in processes of its own comes back under its task."""

import math
import os

import pytest
from experiments.parallel import in_processes


def test_every_task_has_its_result_in_the_order_of_the_tasks():
    found = in_processes(math.factorial, [5, 3, 7], "factorials")
    assert list(found.items()) == [(5, 120), (3, 6), (7, 5040)]


def test_the_work_is_done_elsewhere_and_its_errors_come_back():
    assert os.getpid() not in in_processes(_process, ["any"], "processes").values()
    with pytest.raises(ValueError, match="negative"):
        in_processes(math.factorial, [-1], "factorials")


def _process(_: str) -> int:
    return os.getpid()
