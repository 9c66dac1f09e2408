"""The public callback: gradient variance in a Trainer and a logger of a user's own."""

import csv
import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.strategies import SingleDeviceStrategy
from tests.training.small import discrete, gaussian, seeded, trainer
from torch.utils.data import DataLoader

from reparam_suite.data import Digits
from reparam_suite.diagnostics import gradient_statistics
from reparam_suite.training import GradientVariance
from reparam_suite.training.budget import MeasuringBudget


def rows(logger) -> dict[int, dict[str, float]]:
    logger.save()
    with Path(logger.log_dir, "metrics.csv").open() as file:
        return {
            int(row["step"]): {name: float(value) for name, value in row.items() if value and name != "step"}
            for row in csv.DictReader(file)
            if row.get("grad/encoder/variance")
        }


def run(model, directory, *, every=3, loader=False, max_steps=8):
    logger = CSVLogger(directory)
    used = trainer(GradientVariance(every=every), logger=logger, max_steps=max_steps, log_every_n_steps=1)
    with seeded():
        if loader:
            x = torch.rand(60, 64, generator=torch.Generator().manual_seed(0)).round()
            used.fit(model, DataLoader(x, batch_size=20))
        else:
            used.fit(model, datamodule=Digits(batch_size=300))
        end = torch.get_rng_state()
    return rows(logger), end


def test_a_csv_logger_has_the_variance_of_every_part(tmp_path):
    found, _ = run(gaussian(), tmp_path)
    assert list(found) == [1, 3, 6, 8]
    for row in found.values():
        assert {name for name in row if name.startswith("grad/")} == {
            f"grad/{part}/{what}"
            for part in ("encoder", "decoder", "loc", "scale")
            for what in ("variance", "variance_standard_error", "snr")
        }
        assert row["grad/encoder/variance"] > 0.0


def test_it_is_measured_on_the_fixed_batch_of_the_data(tmp_path):
    model = gaussian()
    found, end = run(model, tmp_path, every=1_000)
    with seeded():
        torch.set_rng_state(end)
        measured = gradient_statistics(model, Digits(batch_size=300).sample_batch("train"))
    assert found[8]["grad/encoder/variance"] == pytest.approx(float(measured["encoder"].variance), rel=1e-5)


@pytest.mark.filterwarnings("ignore:.*(Skipping val loop|does not have many workers)")
def test_without_one_it_is_measured_on_the_first_batch(tmp_path):
    model = gaussian()
    found, end = run(model, tmp_path, loader=True, every=1_000)
    x = torch.rand(60, 64, generator=torch.Generator().manual_seed(0)).round()
    with seeded():
        torch.set_rng_state(end)
        measured = gradient_statistics(model, x[:20])
    assert found[8]["grad/encoder/variance"] == pytest.approx(float(measured["encoder"].variance), rel=1e-5)


def test_training_is_bitwise_the_same_without_it(tmp_path):
    ends = []
    for every in (1, 1_000):
        model = discrete()
        _, noise = run(model, tmp_path / str(every), every=every)
        ends.append((model.state_dict(), noise))
    assert torch.equal(ends[0][1], ends[1][1])
    for name, value in ends[0][0].items():
        assert torch.equal(value, ends[1][0][name]), name


def test_what_it_cannot_measure_is_refused_before_the_first_step():
    class Plain(LightningModule):
        def training_step(self, batch, batch_idx):
            raise AssertionError("no step is taken")

        def configure_optimizers(self):
            return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)

    with pytest.raises(TypeError, match=r"expected a model with expectation\(batch\) and an estimator, got Plain"):
        trainer(GradientVariance(every=2)).fit(Plain(), DataLoader(torch.rand(4, 64)))


def test_an_interval_is_positive():
    with pytest.raises(ValueError, match="every: expected an integer of at least 1, got 0"):
        GradientVariance(every=0)


# ------------------------------------------------------------------------------------------------------------- budget


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def budget(clock, **options) -> MeasuringBudget:
    made = MeasuringBudget("it", **options)
    made._clock = clock
    made._since = clock()
    return made


FAKE = SimpleNamespace(strategy=SingleDeviceStrategy(torch.device("cpu")), is_global_zero=True, global_step=7)


def test_measuring_stays_within_its_share_and_says_once_when_it_is_rarer(caplog):
    """A step takes 1 s, a measurement 3 s; one is due at every second step, and 5 s are free."""
    clock = Clock()
    made, measured = budget(clock, share=0.25, free_seconds=5.0), []
    for step in range(1, 201):
        clock.now += 1.0
        if step == 1 or (step % 2 == 0 and made.affords(FAKE)):
            with made.measuring():
                clock.now += 3.0
            measured.append(step)
        assert 3.0 * len(measured) <= 5.0 + 0.25 * step
    assert len(measured) == (5 + 200 // 4) // 3, "and not rarer than it has to be"
    assert caplog.record_tuples == [
        (
            "reparam_suite.training.budget",
            logging.WARNING,
            "measuring it takes 3 s at a time: from step 7 on it is done less often than asked for, to take at most "
            "25 % of the time of the rest of the run",
        )
    ]


def test_a_short_run_is_measured_wherever_it_is_due():
    clock = Clock()
    made = budget(clock)
    for _ in range(9):
        assert made.affords(FAKE)
        with made.measuring():
            clock.now += 1.0
    with made.measuring():
        clock.now += 1.0
    assert not made.affords(FAKE)


def test_a_budget_continues_from_its_state():
    clock = Clock()
    made = budget(clock, free_seconds=0.5)
    clock.now += 8.0
    with made.measuring():
        clock.now += 1.0
    later = Clock()
    resumed = budget(later, free_seconds=0.5)
    resumed.load_state_dict(made.state_dict())
    assert made.affords(FAKE)
    assert resumed.affords(FAKE)  # 1 + 1 of 0.5 + 8 / 4
    with resumed.measuring():
        later.now += 1.0
    assert not resumed.affords(FAKE)
    later.now += 4.0
    with made.measuring():
        clock.now += 1.0
    assert made.state_dict()["spent"] == resumed.state_dict()["spent"] == 2.0
    assert resumed.state_dict()["rest"] == 12.0
