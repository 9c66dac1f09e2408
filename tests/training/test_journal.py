import pytest
import torch

from reparam_suite.training import Journal


class Spy:
    def __init__(self):
        self.told = []

    def log_metrics(self, metrics, step):
        self.told.append((dict(metrics), step))

    def log_arrays(self, arrays, name):
        self.told.append((sorted(arrays), name))


def test_the_journal_keeps_every_value_and_passes_it_on():
    journal, spy = Journal(), Spy()
    journal.write({"a": 1.0}, 1)
    journal.logger = spy
    journal.write({"a": 2.0, "b": 3.0}, 5)
    assert dict(journal.curves) == {"a": [(1, 1.0), (5, 2.0)], "b": [(5, 3.0)]}
    assert spy.told == [({"a": 2.0, "b": 3.0}, 5)]
    assert (journal.latest("a"), journal.step_of("a")) == (2.0, 5)


def test_arrays_are_kept_by_the_name_of_their_file_and_passed_on():
    journal, spy = Journal(), Spy()
    journal.logger = spy
    values = torch.ones(2, requires_grad=True)
    journal.keep({"a": values}, "folder/some")
    assert not journal.arrays["folder/some"]["a"].requires_grad
    assert torch.equal(journal.arrays["folder/some"]["a"], values)
    assert spy.told == [(["a"], "folder/some")]


def test_what_was_never_written_is_none_and_leaves_no_trace():
    journal = Journal()
    assert journal.latest("a") is None
    assert journal.step_of("a") is None
    assert not journal.curves


def test_what_the_logger_is_reported_is_a_copy():
    journal, spy = Journal(), Spy()
    journal.logger = spy
    metrics = {"a": 1.0}
    journal.write(metrics, 1)
    metrics["a"] = 9.0
    assert spy.told == [({"a": 1.0}, 1)]
    assert journal.latest("a") == pytest.approx(1.0)
