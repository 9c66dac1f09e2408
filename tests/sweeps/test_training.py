"""The training of a cell: which run is trained, and how its end is told."""

import logging
import signal
from types import SimpleNamespace

import pytest

from reparam_suite import Run
from reparam_suite.data import Digits
from reparam_suite.models import GaussianVAE
from reparam_suite.running import RunStopped
from reparam_suite.sweeps.grid import Grid
from reparam_suite.sweeps.records import CellObserver
from reparam_suite.sweeps.training import CellTraining, Task, train_replica
from reparam_suite.tracking import TrackingSettings
from reparam_suite.training import ProcessLost, Stopped, StopSignals

(CELL,) = Grid({"rate": [0.1]}).with_seeds([7])


def make_run(rate, seed):
    return Run(
        GaussianVAE, Digits, seed=seed, tags={"own": str(rate)}, tracking=TrackingSettings(root="nowhere/mlruns")
    )


@pytest.fixture
def fitted(monkeypatch):
    """Runs that would have been trained, with their surroundings; `outcomes` are raised in the place of a result."""
    seen = SimpleNamespace(runs=[], outcomes=[])

    def fit_within(run, surroundings):
        seen.runs.append((run, surroundings))
        if seen.outcomes:
            raise seen.outcomes.pop(0)
        return SimpleNamespace(run_id="its id")

    monkeypatch.setattr(Run, "fit_within", fit_within)
    return seen


def test_a_run_is_made_from_the_values_and_tagged_with_its_cell(fitted):
    signals = StopSignals()
    assert CellTraining(make_run, "s", "made of")(Task(CELL), signals) == "its id"
    ((run, surroundings),) = fitted.runs
    assert run.seed == 7
    assert dict(run.tags) == {
        "own": "0.1",
        "sweep": "s",
        "sweep.cell": CELL.key,
        "sweep.value.rate": "0.1",
        "sweep.definition": "made of",
    }
    assert surroundings.signals is signals
    assert isinstance(surroundings.observer, CellObserver)
    assert "reparam_suite.workers.replica" in surroundings.relaunch, "further processes are started by this command"


def test_an_interrupted_run_without_a_record_begins_again_and_says_so(fitted, caplog):
    with caplog.at_level(logging.WARNING):
        CellTraining(make_run, "s")(Task(CELL, interrupted="f" * 32), StopSignals())
    ((run, _),) = fitted.runs
    assert run.resumption is None
    assert f"sweep s: run {'f' * 32} begins again: resume: there is no run {'f' * 32}" in caplog.text


def test_a_stop_within_a_run_is_a_stop_of_the_sweep(fitted):
    fitted.outcomes.append(RunStopped(Stopped(signal.SIGINT), 3, "resume"))
    with pytest.raises(Stopped) as stopped:
        CellTraining(make_run, "s")(Task(CELL), StopSignals())
    assert stopped.value.exit_code == 130


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (None, 0),
        (Stopped(signal.SIGTERM), 1),
        (RunStopped(Stopped(signal.SIGTERM), 3, "resume"), 1),
        (ProcessLost("process 0 was killed", of_first=True), 1),
    ],
    ids=["well", "stopped before it began", "stopped", "the first process has died"],
)
def test_a_further_process_leaves_all_messages_to_the_first(fitted, capfd, outcome, code):
    fitted.outcomes += [] if outcome is None else [outcome]
    before = signal.getsignal(signal.SIGTERM)
    assert train_replica(CellTraining(make_run, "s"), Task(CELL)) == code
    ((run, surroundings),) = fitted.runs
    assert run.tags["sweep.cell"] == CELL.key
    assert surroundings.relaunch == ()
    assert capfd.readouterr() == ("", "")
    assert signal.getsignal(signal.SIGTERM) is before
