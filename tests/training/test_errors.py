"""Errors that stop a run: what they say, and how a process ends with them."""

import signal
from pathlib import Path

import pytest

from reparam_suite.training import CheckpointError, DamagedCheckpoint, NonFiniteLoss, ProcessLost, Stopped
from reparam_suite.training.errors import UnknownMonitorError


@pytest.mark.parametrize(
    ("checkpoint", "told"),
    [
        (Path("a/last.ckpt"), "the loss is nan at step 8; the last finite checkpoint is a/last.ckpt"),
        (None, "the loss is nan at step 8; there is no checkpoint before it"),
    ],
)
def test_a_divergence_names_its_step_and_what_is_left(checkpoint, told):
    error = NonFiniteLoss("the loss is nan", step=8, checkpoint=checkpoint)
    assert str(error) == told
    assert (error.step, error.checkpoint) == (8, checkpoint)


@pytest.mark.parametrize(
    ("signum", "code", "what"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_ends_the_process_as_a_shell_tells_it(signum, code, what):
    with pytest.raises(SystemExit) as ended:
        raise Stopped(signum)
    assert (ended.value.code, ended.value.exit_code, ended.value.what) == (code, code, what)


def test_an_unknown_monitor_is_named_beside_those_that_there_are():
    assert str(UnknownMonitorError("val/lost", ["val/kl", "val/loss"], ["val/loss"])) == (
        "monitor: expected one of val/kl, val/loss, got val/lost; did you mean val/loss?"
    )
    assert str(UnknownMonitorError("x", ["val/kl"], [])) == "monitor: expected one of val/kl, got x"


def test_a_lost_process_says_how_the_run_is_recorded():
    assert str(ProcessLost("process 1 was killed")) == "process 1 was killed; the run is recorded up to here, as FAILED"
    first = ProcessLost("process 0 was killed", of_first=True)
    assert (str(first), first.of_first) == ("process 0 was killed; the next command marks the run", True)


def test_what_reads_any_broken_file_reads_a_damaged_one():
    with pytest.raises(CheckpointError, match="cut off"):
        raise DamagedCheckpoint("cut off")
