"""Weights & Biases: nothing is sent or printed offline, and what is asked of it online."""

import os
import socket
from types import SimpleNamespace

import pytest
import wandb

from reparam_suite.tracking import WeightsAndBiases


@pytest.fixture
def calls(monkeypatch):
    """A listener where its process would look for the server, and for any other one through a proxy."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "WANDB_BASE_URL"):
            monkeypatch.setenv(name, address)
        wandb.teardown()  # of another test
        yield listener
        wandb.teardown()


def test_offline_nothing_is_sent_or_printed_and_the_environment_is_as_it_was(run, calls, capfd, monkeypatch):
    monkeypatch.delenv("WANDB_ERROR_REPORTING", raising=False)
    logger = WeightsAndBiases().of(run)
    assert "WANDB_ERROR_REPORTING" not in os.environ
    assert "WANDB_MODE" not in os.environ
    logger.log_hyperparams({"seed": 3})
    for step in range(3):
        logger.log_metrics({"val/elbo": -float(step)}, step)
    assert WeightsAndBiases().has(run)
    assert (logger.name, logger.version) == ("reparam_suite", run.run_id)
    logger.finalize("success")
    wandb.teardown()
    assert capfd.readouterr() == ("", "")
    calls.settimeout(0.0)
    with pytest.raises(BlockingIOError):
        calls.accept()


def test_the_project_has_the_name_of_the_experiment_as_far_as_it_may(run, monkeypatch):
    asked = []
    made = SimpleNamespace(define_metric=lambda *_, **__: None)
    monkeypatch.setattr(wandb, "init", lambda **given: asked.append(given) or made)
    monkeypatch.setattr(type(run), "name", "digits/50%")
    WeightsAndBiases().of(run)
    WeightsAndBiases(project="mine", offline=False).of(run)
    assert [(each["project"], each["mode"], each["resume"], each["id"]) for each in asked] == [
        ("digits-50-", "offline", None, run.run_id),
        ("mine", "online", "allow", run.run_id),
    ]
