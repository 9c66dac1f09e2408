"""The imports of the workers' server: a module that is missing is left to the worker that needs it."""

import gc
import sys

import pytest

from reparam_suite.runtime import deferral


@pytest.fixture
def _thawed():
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("_thawed")
def test_a_module_that_is_missing_leaves_the_collector_on(monkeypatch):
    monkeypatch.setattr(deferral, "defer_scipy_signal", lambda: None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)  # its import raises ImportError
    monkeypatch.delitem(sys.modules, "reparam_suite.runtime.preloading", raising=False)
    import reparam_suite.runtime.preloading  # noqa: F401

    assert gc.isenabled()
    monkeypatch.delitem(sys.modules, "reparam_suite.runtime.preloading")
