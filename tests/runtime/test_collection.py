"""The garbage collector is off within a context."""

import gc

import pytest

from reparam_suite.runtime.collection import paused_collection


def test_within_the_context_it_is_off_and_then_as_before():
    assert gc.isenabled()
    with paused_collection():
        assert not gc.isenabled()
        with paused_collection():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_after_an_error_too():
    with pytest.raises(ZeroDivisionError), paused_collection():
        assert 1 / 0
    assert gc.isenabled()
