"""The write-ahead log of a run: nothing is lost, doubled or out of order, whatever the disk and the process do."""

import errno
import math
import os
import random
import shutil
import signal
from pathlib import Path

import pytest
from tests.lives import Life, kill_itself

from reparam_suite.tracking import spool as module
from reparam_suite.tracking.records import Artifact, Dataset, End, LoggedModel, Parameters, Point, Tags
from reparam_suite.tracking.spool import Occupied, Rest, Spool


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "spool" / "run"


def opened(directory) -> Spool:
    return Spool(directory, about={})


def points(*steps):
    return [Point("a", step / 3, 1000 + step, step) for step in steps]


def taken(spool) -> list:
    """All that the spool has, one batch after the other, marked as delivered."""
    entries = []
    while (batch := spool.take()) is not None:
        entries += batch.entries
        spool.done(batch)
    return entries


def test_every_kind_of_entry_comes_back_as_it_was(directory):
    entries = [
        *points(0, 1),
        Point("big", math.inf, 0, 2**40),
        Point("tiny", 5e-324, 0, 0),
        Parameters({"a.b": "π\n"}),
        Tags({"c": '"'}),
        Dataset("Digits", "0123", "here", {"train": 10}, "training"),
        Artifact("0/a.txt", None),
        LoggedModel("1/model", "model", "token"),
        End("FINISHED", 17),
    ]
    spool = opened(directory)
    spool.append(entries)
    spool.append([Point("nan", math.nan, 0, 0)])
    assert spool.close() == Rest(unsent=len(entries) + 1)
    again = opened(directory)
    assert again.num_unsent == len(entries) + 1
    *same, last = taken(again)
    assert same == entries
    assert math.isnan(last.value)
    assert again.close() == Rest()
    assert not directory.exists()


def test_points_are_taken_by_the_thousand_and_records_alone(directory):
    spool = opened(directory)
    tags = Tags({"a": "b"})
    spool.append([*points(*range(2500)), tags, tags, *points(2500)])
    sizes = []
    while (batch := spool.take()) is not None:
        sizes.append(len(batch.entries))
        spool.done(batch)
    assert sizes == [1000, 1000, 500, 1, 1, 1]


def test_what_was_delivered_is_not_taken_again_by_the_next_process(directory):
    spool = opened(directory)
    spool.append(points(*range(1500)))
    spool.done(spool.take())
    spool.append(points(1500))
    assert spool.close() == Rest(unsent=501)
    assert taken(opened(directory)) == points(*range(1000, 1501))


def test_a_batch_that_was_not_marked_is_taken_again(directory):
    spool = opened(directory)
    spool.append(points(0, 1))
    assert spool.take().entries == spool.take().entries == points(0, 1)
    spool.close()
    assert taken(opened(directory)) == points(0, 1)


def test_half_a_line_is_what_its_writer_died_over_and_counts_for_nothing(directory):
    spool = opened(directory)
    spool.append(points(0, 1))
    spool.close()
    with (directory / "unsent.jsonl").open("ab") as file:
        file.write(b'["a", 0.6666')
    again = opened(directory)
    again.append(points(2))
    assert taken(again) == points(0, 1, 2)


def test_a_line_that_the_disk_has_spoilt_is_kept_apart_and_the_rest_continues(directory):
    spool = opened(directory)
    spool.append(points(0))
    spool.close()
    with (directory / "unsent.jsonl").open("ab") as file:
        file.write(b'\0\0\0\n{"kind": "Nothing"}\n["too short"]\n')
    again = opened(directory)
    again.append(points(1))
    assert taken(again) == points(0, 1)
    assert again.close() == Rest(refused=3)
    assert (directory / "refused.jsonl").read_bytes() == b'\0\0\0\n{"kind": "Nothing"}\n["too short"]\n'
    assert opened(directory).take() is None


def test_the_file_is_emptied_whenever_all_is_delivered(directory):
    spool = opened(directory)
    for step in range(5):
        spool.append(points(step))
        assert taken(spool) == points(step)
        assert (directory / "unsent.jsonl").stat().st_size == 0


def test_it_is_open_once_at_a_time_and_opens_again_when_written_to(directory):
    spool = opened(directory)
    with pytest.raises(Occupied):
        opened(directory)
    spool.close()
    other = opened(directory)
    with pytest.raises(Occupied):
        spool.append(points(0))
    other.close()
    spool.append(points(0))
    with pytest.raises(Occupied):
        opened(directory)
    assert taken(spool) == points(0)


def test_it_tells_whose_it_is(directory):
    Spool(directory, about={"run_id": "17"})
    assert '"run_id": "17"' in (directory / "run.json").read_text()


def append_and_die(directory: Path) -> None:
    spool = Spool(directory, about={})
    for step in range(100):
        spool.append([Point("a", step / 3, 1000 + step, step)])
    kill_itself()


def test_all_that_was_appended_is_there_after_a_kill(directory, tmp_path):
    assert Life.of(append_and_die, directory, directory=tmp_path).end() == -signal.SIGKILL
    assert taken(opened(directory)) == points(*range(100))


def full(handle: int, data: bytes) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


class FullDisk:
    """Writes whole, in part, or nothing, as chance has it."""

    def __init__(self, seed: int, failing: float) -> None:
        self.chance, self.failing = random.Random(seed), failing
        self.write = os.write

    def __call__(self, handle: int, data: bytes) -> int:
        if self.chance.random() < self.failing:
            if self.chance.random() < 0.5:
                full(handle, data)
            return self.write(handle, data[: self.chance.randrange(len(data)) + 1])
        return self.write(handle, data)


@pytest.mark.parametrize("failing", [0.0, 0.5, 0.95, 1.0])
@pytest.mark.parametrize("seed", range(10))
def test_whatever_the_disk_takes_all_is_delivered_once_and_in_order(directory, monkeypatch, seed, failing):
    monkeypatch.setattr(module, "MOST", 7)
    disk = FullDisk(seed, failing)
    monkeypatch.setattr(module.os, "write", disk)
    spool, delivered, step = opened(directory), [], 0
    while step < 300:
        action = disk.chance.random()
        if action < 0.6:
            num = disk.chance.randrange(5)
            spool.append(points(*range(step, step + num)))
            step += num
        elif (batch := spool.take()) is not None:
            spool.append(points(step))  # while the batch is under way
            step += 1
            spool.done(batch)
            delivered += batch.entries
        # At any moment, what another process would find continues what was delivered, up to what no disk has taken.
        copy = directory.with_name("copy")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(directory, copy)
        with monkeypatch.context() as whole:
            whole.setattr(module.os, "write", disk.write)
            other = opened(copy)
            found = [point.step for point in taken(other)]
            other.close()
        first = found[0] if found else 0
        assert first <= len(delivered)
        assert found == list(range(first, first + len(found)))
        if failing == 0.0:
            assert [point.step for point in delivered] + found == list(range(step))
    delivered += taken(spool)
    assert delivered == points(*range(step))


def test_on_a_full_disk_delivering_continues_and_makes_room(directory, monkeypatch):
    spool = opened(directory)
    spool.append(points(0, 1))
    with monkeypatch.context() as patch:
        patch.setattr(module.os, "write", full)
        spool.append(points(2))
        assert spool.take().entries == points(0, 1)
        spool.done(spool.take())
        assert (directory / "unsent.jsonl").stat().st_size == 0
        assert spool.take().entries == points(2)
    assert spool.close() == Rest(unsent=1)
    assert taken(opened(directory)) == points(2)


def test_what_neither_disk_nor_store_has_taken_is_counted_at_the_end(directory, monkeypatch):
    spool = opened(directory)
    spool.append(points(0))
    monkeypatch.setattr(module.os, "write", full)
    spool.append(points(1, 2))
    assert spool.close() == Rest(unsent=1, unwritten=2)
