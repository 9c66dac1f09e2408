"""Loggers beside the run's record: they get its numbers once, and what they raise is said once."""

import logging

from lightning.pytorch.loggers.logger import DummyLogger

from reparam_suite.training import FurtherLogger, Journal


class Kept(DummyLogger):
    """Keeps what it is told; raises at a step."""

    def __init__(self, bad: int | None = None):
        super().__init__()
        self.told, self.bad = [], bad

    def log_hyperparams(self, params):
        self.told.append(params)

    def log_metrics(self, metrics, step):
        if step == self.bad:
            raise ConnectionError("the line is\n dead")
        self.told.append((step, metrics))

    def save(self):
        self.told.append("saved")

    def finalize(self, status):
        self.told.append(status)


def journal_of(*loggers: FurtherLogger) -> Journal:
    journal = Journal()
    journal.write({"a": 1.0, "b": 2.0}, 1)
    for logger in loggers:
        logger.begin({"seed": 3}, journal.curves)
    journal.listeners.extend(loggers)
    return journal


def test_it_gets_what_was_before_and_what_comes_and_saves_it():
    kept = Kept()
    journal = journal_of(further := FurtherLogger(lambda: kept, label="Kept"))
    journal.write({"a": 3.0}, 2)
    further.log_metrics({"epoch": 1.0}, 7)  # Lightning's, at a step of its own
    further.log_hyperparams({"of": "Lightning"})
    further.end("success")
    assert kept.told == [{"seed": 3}, (1, {"a": 1.0, "b": 2.0}), "saved", (2, {"a": 3.0}), "saved", "success"]
    assert further.experiment is kept.experiment


def test_what_it_has_of_an_earlier_process_it_does_not_get_again():
    kept = Kept()
    journal = journal_of(FurtherLogger(lambda: kept, label="Kept", known=lambda: {("a", 1), ("a", 2), ("b", 2)}))
    journal.write({"a": 3.0, "b": 4.0}, 2)
    journal.write({"a": 5.0}, 3)
    assert [told for told in kept.told if isinstance(told, tuple)] == [(1, {"b": 2.0}), (3, {"a": 5.0})]


def test_an_error_is_said_once_and_the_next_number_is_tried(caplog):
    kept, other = Kept(bad=2), Kept()
    journal = journal_of(*(FurtherLogger(lambda each=each: each, label="Kept") for each in (kept, other)))
    with caplog.at_level(logging.WARNING):
        for step, value in ((2, 1.0), (2, 2.0), (3, 3.0)):
            journal.write({"a": value}, step)
    assert caplog.messages == ["logger Kept: the line is dead; the run continues, and its own record has everything"]
    assert [told[0] for told in kept.told if isinstance(told, tuple)] == [1, 3]
    assert [told[0] for told in other.told if isinstance(told, tuple)] == [1, 2, 2, 3]
    assert journal.curves["a"] == [(1, 1.0), (2, 1.0), (2, 2.0), (3, 3.0)]


def test_one_that_cannot_be_made_is_given_up(caplog):
    tried = []

    def fail():
        tried.append(1)
        raise TimeoutError

    further = FurtherLogger(fail, label="Distant")
    with caplog.at_level(logging.WARNING):
        journal = journal_of(further)
        journal.write({"a": 3.0}, 2)
        further.end("failed")
    assert tried == [1], "each try may take minutes"
    assert caplog.messages == ["logger Distant: TimeoutError; the run continues, and its own record has everything"]
    assert (further.experiment, further.name, further.version) == (None, None, None)
