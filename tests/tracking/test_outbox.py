import logging
import threading
import time

import pytest

from reparam_suite.tracking import outbox as module
from reparam_suite.tracking import spool as spool_module
from reparam_suite.tracking.outbox import Outbox
from reparam_suite.tracking.records import Artifact, End, Point, Rejected, Tags, Undelivered
from reparam_suite.tracking.spool import Rest, Spool


class FakeStore:
    """Notes what it gets; blocks or fails when told to."""

    def __init__(self):
        self.batches = []
        self.answers = threading.Event()
        self.answers.set()
        self.called = threading.Event()
        self.failures = 0

    def deliver(self, entries):
        self.called.set()
        assert self.answers.wait(300)
        if self.failures:
            self.failures -= 1
            raise ConnectionError("http://ada:secret@server is away")
        self.batches.append(list(entries))


@pytest.fixture
def fake():
    return FakeStore()


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool/run", about={})


@pytest.fixture
def outbox(fake, spool, monkeypatch):
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.01)
    box = Outbox(spool=spool, deliver=fake.deliver, name="store")
    yield box
    fake.answers.set()
    box.stop(5)


def points(*steps):
    return [Point("a", float(step), 0, step) for step in steps]


def test_put_returns_while_the_store_blocks(fake, outbox):
    fake.answers.clear()
    outbox.put(points(0), urgent=True)
    assert fake.called.wait(300)
    for step in range(1, 3000):  # would never end if it waited for the store
        outbox.put(points(step))
    assert fake.batches == []
    fake.answers.set()
    assert outbox.flush(300)
    assert [point.step for batch in fake.batches for point in batch] == list(range(3000))
    assert max(map(len, fake.batches)) == spool_module.MOST


def test_enough_points_are_sent_without_being_asked_for(fake, outbox, monkeypatch):
    monkeypatch.setattr(module, "PERIOD", 3600)
    outbox.put(points(*range(module.ENOUGH)))
    assert fake.called.wait(300)


def test_few_points_are_sent_after_a_while(fake, spool, monkeypatch):
    monkeypatch.setattr(module, "PERIOD", 0.01)
    outbox = Outbox(spool=spool, deliver=fake.deliver, name="store")
    outbox.put(points(0))
    assert fake.called.wait(300)
    assert outbox.stop(300) == Rest()


def test_records_keep_their_place_among_points(fake, outbox):
    tags = Tags({"a": "b"})
    outbox.put([*points(0, 1), tags, *points(2)])
    assert outbox.flush(300)
    assert fake.batches == [points(0, 1), [tags], points(2)]


def test_after_failures_all_is_sent_once_and_in_order(fake, outbox, caplog):
    fake.failures = 5
    with caplog.at_level(logging.WARNING):
        outbox.put(points(0, 1), urgent=True)
        outbox.put(points(2), urgent=True)
        assert outbox.flush(300)
    assert [point.step for batch in fake.batches for point in batch] == [0, 1, 2]
    assert not outbox.failing
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [
        "store does not accept records; they are kept and sent later: http://***@server is away",
        "store answers again; what was kept is being sent",
    ]


def test_what_is_rejected_is_set_aside_and_the_rest_continues(outbox, fake, monkeypatch):
    tags = Tags({"a": "b"})

    def deliver(entries):
        if entries == [tags]:
            raise Rejected("bad tag")
        fake.deliver(entries)

    monkeypatch.setattr(outbox, "_deliver", deliver)
    outbox.put([*points(0), tags, *points(1)])
    assert outbox.flush(300)
    assert fake.batches == [points(0), points(1)]
    assert outbox.stop(300) == Rest(refused=1)


def test_stop_leaves_in_the_spool_what_is_unsent_with_the_batch_under_way(fake, outbox, spool):
    outbox.put(points(0))
    assert outbox.flush(300)
    fake.answers.clear()
    fake.called.clear()
    outbox.put(points(1), urgent=True)
    assert fake.called.wait(300)
    outbox.put(points(2))
    assert outbox.stop(0.1) == Rest(unsent=2)
    fake.answers.set()
    assert Spool(spool.directory, about={}).take().entries == points(1, 2)


def test_it_starts_again_after_a_stop(fake, outbox):
    outbox.put(points(0))
    assert outbox.stop(300) == Rest()
    outbox.put(points(1))
    assert outbox.stop(300) == Rest()
    assert fake.batches == [points(0), points(1)]
    assert outbox.stop(300) == Rest()


def test_flush_gives_up_in_time(fake, outbox):
    fake.answers.clear()
    outbox.put(points(0))
    assert not outbox.flush(0.05)


def test_stop_waits_for_a_store_that_is_slow(fake, outbox, monkeypatch):
    monkeypatch.setattr(spool_module, "MOST", 1)

    def slowly(entries):
        time.sleep(0.25)
        fake.deliver(entries)

    monkeypatch.setattr(outbox, "_deliver", slowly)
    outbox.put(points(*range(12)))
    assert outbox.stop(2) == Rest()
    assert fake.batches == [points(step) for step in range(12)]


def files(*names):
    return [Artifact(name, None) for name in names]


@pytest.fixture
def undeliverable(fake, outbox, monkeypatch):
    """Names of files that the store does not get; it takes all others."""
    names = set()

    def deliver(entries):
        if {entry.path for entry in entries if isinstance(entry, Artifact)} & names:
            raise Undelivered("no such bucket")
        fake.deliver(entries)

    monkeypatch.setattr(outbox, "_deliver", deliver)
    return names


def test_nothing_waits_for_a_file_that_cannot_be_delivered(fake, outbox, undeliverable, spool, caplog):
    undeliverable.update(("a", "c"))
    with caplog.at_level(logging.WARNING):
        outbox.put([*points(0), *files("a", "b", "c"), *points(1), End("FINISHED", 17)], urgent=True)
        assert not outbox.flush(3600), "it does not wait for them either"
    assert fake.batches == [points(0), files("b"), points(1), [End("FINISHED", 17)]]
    assert not outbox.failing
    undeliverable.discard("c")
    outbox.put(points(2))
    assert not outbox.flush(3600)
    assert fake.batches[4:] == [points(2), files("c")]
    assert outbox.stop(300) == Rest(unsent=1, later=1)
    assert Spool(spool.directory, about={}).take_later().entries == files("a")
    told = "store could not receive a file, which is kept and sent later; the rest is sent: no such bucket"
    assert {record.getMessage() for record in caplog.records} == {told}


def test_a_file_that_could_not_be_delivered_is_tried_again(fake, outbox, undeliverable, monkeypatch):
    monkeypatch.setattr(module, "FILES_PAUSE", 0.01)
    undeliverable.add("a")
    outbox.put(files("a"), urgent=True)
    assert not outbox.flush(3600)
    undeliverable.clear()
    assert outbox.stop(300) == Rest()
    assert fake.batches == [files("a")]
