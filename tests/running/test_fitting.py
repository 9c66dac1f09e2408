"""The course of a run from its first step to its closed record."""

import signal

import pytest
from tests.running.models import gaussian, short

from reparam_suite import Run
from reparam_suite.data import Digits
from reparam_suite.tracking import RunLogger, Store


def test_ctrl_c_during_the_last_upload_finds_a_run_that_is_finished(tracking, monkeypatch):
    real = RunLogger.close

    def close(logger, status):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)  # a later one changes nothing
        real(logger, status)

    monkeypatch.setattr("reparam_suite.running.fitting.finish", lambda *_, **__: None)
    monkeypatch.setattr(RunLogger, "close", close)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        Run(gaussian, Digits(), name="uploading", **short(tracking, max_steps=1)).fit()
    assert signal.getsignal(signal.SIGINT) is handler
    (run,) = Store.open(tracking).runs_named("uploading")
    assert run.info.status == "FINISHED"
    assert "test/elbo" in run.data.metrics
