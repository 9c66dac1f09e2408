import io
import itertools

import pytest
from lightning.pytorch import Callback
from rich.console import Console
from tests.training.small import fit, gaussian

from reparam_suite.data import Digits
from reparam_suite.training import Checkpoints, Journal, ProgressBar, StepRecord, Validation


@pytest.fixture
def console():
    return Console(file=io.StringIO(), force_terminal=True, color_system=None, width=100)


def train(console, *more: Callback, **options) -> ProgressBar:
    journal = Journal()
    record = StepRecord(every=1, journal=journal, checkpoints=Checkpoints())
    bar = ProgressBar(journal=journal, console=console)
    validation = Validation(journal=journal, record=record, checkpoints=Checkpoints())
    fit(gaussian(), Digits(batch_size=300), record, validation, *more, bar, **options)
    last = f"train {journal.latest('train/elbo'):.2f}  val {journal.latest('val/elbo'):.2f}"
    assert last in console.file.getvalue()
    return bar


def test_the_bar_ends_with_all_steps_and_the_bounds_reached(console):
    bar = train(console, max_steps=7)
    assert "7/7" in console.file.getvalue()
    assert not bar._progress.live.is_started


def test_a_run_without_a_last_step_has_a_bar_without_an_end(console):
    train(console, max_steps=-1, max_epochs=-1, max_time={"seconds": 0.3})
    assert "/?" in console.file.getvalue()


def test_a_file_gets_a_line_every_so_often_with_the_time_that_is_left():
    """Each look at the clock is 4 s later; a line is due every 10 s."""
    file, clock = io.StringIO(), itertools.count(0, 4)
    journal = Journal()
    journal.write({"train/elbo": -2.0, "val/elbo": -3.0, "val/elbo_best": -2.5}, 0)
    bar = ProgressBar(journal=journal, console=Console(file=file, width=80), clock=lambda: float(next(clock)))
    fit(gaussian(), Digits(batch_size=10), bar, max_steps=110)
    values = "train -2.00  val -3.00  best -2.50"
    assert file.getvalue().splitlines() == [
        f"step 60 of 110  {values}  0:00:10 left",
        f"step 110 of 110  {values}  in 0:00:24",
    ]


class Fail(Callback):
    def on_train_batch_end(self, *_):
        raise ZeroDivisionError


def test_a_failure_gives_the_terminal_back(console):
    bar = ProgressBar(journal=Journal(), console=console)
    with pytest.raises(ZeroDivisionError):
        fit(gaussian(), Digits(batch_size=300), Fail(), bar)
    assert not bar._progress.live.is_started
    assert console.file.getvalue().endswith("\x1b[?25h"), "the cursor is shown again"
