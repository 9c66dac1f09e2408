"""What surrounds a run: signals of a call from Python, and how its program is started again."""

import signal
import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from tests.running.models import gaussian, short

from reparam_suite import Run
from reparam_suite.data import Digits
from reparam_suite.running import Observer, RunStopped
from reparam_suite.running.surroundings import library_call, script_command
from reparam_suite.tracking import Store
from reparam_suite.training import STOP_SIGNALS, Stopped


@pytest.fixture
def received():
    """Signals that reach the program's own handler."""
    found = []
    before = {signum: signal.getsignal(signum) for signum in STOP_SIGNALS}
    signal.signal(signal.SIGTERM, lambda signum, _: found.append(signum))
    yield found
    for signum, handler in before.items():
        signal.signal(signum, handler)


def test_a_signal_has_the_effect_that_it_would_have_had_once_the_call_is_over(received):
    own = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped), library_call(progress=False):
        signal.raise_signal(signal.SIGTERM)
    assert received == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is own


def test_ctrl_c_is_a_keyboard_interrupt():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), library_call(progress=False):
        signal.raise_signal(signal.SIGINT)
    message = r"interrupted after step 6; .* To resume it: so"
    with pytest.raises(KeyboardInterrupt, match=message), library_call(progress=False):
        raise RunStopped(Stopped(signal.SIGINT), 6, "so")
    assert signal.getsignal(signal.SIGINT) is before


def test_a_stopped_run_is_told_before_its_signal_takes_effect(received, caplog):
    with pytest.raises(RunStopped), library_call(progress=False):
        raise RunStopped(Stopped(signal.SIGTERM), 6, "so")
    assert received == [signal.SIGTERM]
    assert caplog.messages == ["terminated after step 6; the run is recorded as KILLED. To resume it: so"]


def test_a_signal_that_was_held_back_to_the_end_is_not_lost(received):
    def held_back():
        with library_call(progress=False) as surroundings:
            surroundings.signals.wait()
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Stopped):
        held_back()
    assert received == [signal.SIGTERM]


def test_a_call_shows_what_it_is_asked_to_and_restarts_the_program_for_its_first_run_alone(capsys):
    for progress in (True, False):
        with library_call(progress=progress, first=progress) as surroundings:
            surroundings.console.print("shown")
            assert (surroundings.relaunch is not None) == progress
    assert capsys.readouterr().out == "shown\n"


@pytest.mark.parametrize(
    ("main", "words"),
    [
        ({"__spec__": SimpleNamespace(name="package.tool")}, ["-m", "package.tool", "--a", "1"]),
        ({"__spec__": SimpleNamespace(name="package.__main__")}, ["-m", "package", "--a", "1"]),
        ({"__spec__": None, "__file__": "{tmp}/script.py"}, ["{tmp}/script.py", "--a", "1"]),
        ({"__spec__": None, "__file__": "{tmp}/not there.py"}, None),
        ({"__spec__": None}, None),
    ],
    ids=["a module", "a package", "a script", "a file that is gone", "a notebook"],
)
def test_a_program_is_started_again_as_it_was(monkeypatch, tmp_path, main, words):
    (tmp_path / "script.py").touch()
    module = ModuleType("__main__")
    for name, value in main.items():
        setattr(module, name, value.format(tmp=tmp_path) if isinstance(value, str) else value)
    monkeypatch.setitem(sys.modules, "__main__", module)
    monkeypatch.setattr(sys, "argv", ["anything", "--a", "1"])
    expected = None if words is None else [sys.executable, *(word.format(tmp=tmp_path) for word in words)]
    assert script_command() == expected


@pytest.mark.parametrize(
    ("error", "status"),
    [(Stopped(signal.SIGTERM), "KILLED"), (KeyboardInterrupt(), "KILLED"), (ValueError(), "FAILED")],
)
def test_a_run_that_was_stopped_has_not_failed(error, status):
    assert Observer().failed(None, error) == status


@pytest.mark.usefixtures("undrawn")
def test_ctrl_c_is_a_keyboard_interrupt_and_leaves_a_checkpoint_of_its_step(tracking):
    def interrupted():
        model = gaussian()
        original = model.training_step

        def training_step(batch, batch_idx):
            if model.global_step == 5:
                signal.raise_signal(signal.SIGINT)
            return original(batch, batch_idx)

        model.training_step = training_step
        return model

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match="interrupted after step 6; the run is recorded as KILLED"):
        Run(interrupted, Digits(), name="stopped", **short(tracking, max_steps=20)).fit()
    assert signal.getsignal(signal.SIGINT) is handler
    (run,) = Store.open(tracking).runs_named("stopped")
    assert run.info.status == "KILLED"
    last = torch.load(tracking.root / "checkpoints" / run.info.run_id / "last.ckpt", weights_only=True)
    assert last["global_step"] == 6
    resumed = Run.resume(run.info.run_id, max_steps=8, tracking=tracking).fit()
    assert (resumed.run_id, resumed.num_steps) == (run.info.run_id, 8)
