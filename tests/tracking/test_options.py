"""Options as tags: complete, however long, and read back."""

import pytest

from reparam_suite.tracking.names import parameter_texts
from reparam_suite.tracking.options import TAG, option_tags, options_of


@pytest.mark.parametrize("length", [1, 100, 10_000, 30_000])
def test_options_come_back_whole(length):
    options = {"seed": "0", "model.init_args.long": "x" * length, "say": 'a "quoted" é'}
    tags = option_tags(options)
    assert options_of({**tags, "seed": "0"}) == options
    assert all(len(value) <= 4_000 for value in tags.values())


def test_fewer_options_than_before_leave_tags_that_do_not_count():
    before, now = option_tags({"a": "x" * 9_000}), option_tags({"a": "y"})
    assert set(now) < set(before)
    assert options_of(before | now) == {"a": "y"}


def test_runs_without_them_have_none():
    assert options_of({"seed": "0"}) is None
    assert options_of({f"{TAG}.0": "cut {"}) is None


def test_parameters_are_flat_text_without_secrets():
    assert parameter_texts({"a": {"b": 1, "c": None}, "d[0]": "postgresql://ada:secret@db/runs"}) == {
        "a.b": "1",
        "a.c": "None",
        "d_0_": "postgresql://***@db/runs",
    }
