"""Two processes that train one model: the gradient is that of the whole batch, however its rows are shared."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from tests.training.small import SIZES, seeded

from reparam_suite.data import Arrays, DataModule, Digits, StreamedArrays
from reparam_suite.estimators import Enumeration, MovingAverage, ScoreFunction
from reparam_suite.models import DiscreteVAE, OptimizerSettings
from reparam_suite.training import Checkpoints, Journal, Replicas, StepRecord, Validation

MODULE = "tests.training.test_replicas"

# 1,285 training rows in batches of 183: the last has 4, of which each process has 2; of 183 one has 92.
BATCH_SIZE, NUM_STEPS = 183, 10


def model(estimator) -> DiscreteVAE:
    with seeded(1):
        return DiscreteVAE(**SIZES, estimator=estimator, optimizer=OptimizerSettings(name="SGD", learning_rate=0.05))


ESTIMATORS = {
    "exact": Enumeration,
    "moving average": lambda: ScoreFunction(baseline=MovingAverage(decay=0.5)),
}


def data_of(name: str, num_processes: int, path: str) -> DataModule:
    """Embedded digits; for the exact gradient those in files, which two processes stream and one has in memory."""
    if name != "exact":
        return Digits(batch_size=BATCH_SIZE)
    files = {split: Path(path).parent / f"{split}.npy" for split in ("train", "valid")}
    if num_processes > 1:
        return StreamedArrays(**files, test=files["valid"], batch_size=BATCH_SIZE, num_workers=1)
    arrays = {split: np.load(file) for split, file in files.items()}
    return Arrays.of(**arrays, batch_size=BATCH_SIZE)


def trained(name: str, num_processes: int, path: str = ""):
    """The model after its steps, and what was recorded."""
    made, journal, checkpoints = model(ESTIMATORS[name]()), Journal(), Checkpoints()
    command = [sys.executable, "-m", MODULE, name, path]
    record = StepRecord(every=4, journal=journal, checkpoints=checkpoints)
    strategy = {"strategy": Replicas(command=command, seed=3)} if num_processes > 1 else {}
    used = Trainer(
        accelerator="cpu",
        devices=num_processes,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        max_steps=NUM_STEPS,
        callbacks=[record, Validation(journal=journal, record=record, checkpoints=checkpoints)],
        **strategy,
    )
    data = data_of(name, num_processes, path)
    data.trainer = used
    used.fit(made, datamodule=data)
    return made, journal, used


def keep(name: str, path: str) -> None:
    """The program of one of two processes: each writes what it has."""
    made, journal, used = trained(name, 2, path)
    torch.save({"state": made.state_dict(), "curves": dict(journal.curves)}, f"{path}.{used.global_rank}")
    used.strategy.close(failed=False)


def two_processes(name: str, directory) -> list[dict]:
    command = [sys.executable, "-m", MODULE, name, f"{directory}/end"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=800, check=False)
    assert done.returncode == 0, done.stderr
    return [torch.load(f"{directory}/end.{rank}", weights_only=True) for rank in range(2)]


@pytest.mark.slow
def test_two_processes_train_as_one_with_the_whole_batch(tmp_path):
    digits = Digits(binarization="fixed")
    for split in ("train", "valid"):
        np.save(tmp_path / f"{split}.npy", torch.cat(list(digits.undivided(split))).to(torch.uint8).numpy())
    first, second = two_processes("exact", tmp_path)
    with torch.random.fork_rng():
        one, journal, _ = trained("exact", 1, f"{tmp_path}/end")
    for name, value in one.state_dict().items():
        assert torch.equal(first["state"][name], second["state"][name]), name
        torch.testing.assert_close(first["state"][name], value, rtol=1e-4, atol=1e-5, msg=name)
    for name in ("train/elbo", "train/kl", "train/reconstruction"):
        steps, values = zip(*first["curves"][name], strict=True)
        expected_steps, expected = zip(*journal.curves[name], strict=True)
        assert steps == expected_steps
        assert values == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_what_the_estimator_remembers_is_that_of_both_processes(tmp_path):
    first, second = two_processes("moving average", tmp_path)
    remembered = [name for name in first["state"] if "baseline" in name]
    assert remembered
    for name in remembered:
        assert torch.equal(first["state"][name], second["state"][name]), name
    assert any(first["state"][name].abs().sum() > 0 for name in remembered)


def strategy_of(loader, world_size=4) -> Replicas:
    made = Replicas.__new__(Replicas)
    made._lightning_module = SimpleNamespace(trainer=SimpleNamespace(train_dataloader=loader))
    made.num_nodes, made.parallel_devices = 1, [torch.device("cpu")] * world_size
    made.cluster_environment = SimpleNamespace(world_size=lambda: world_size)
    return made


def test_a_share_is_that_of_the_rows_where_the_loader_tells_them_and_equal_otherwise(monkeypatch):
    monkeypatch.setattr(Replicas, "lightning_module", property(lambda self: self._lightning_module))
    monkeypatch.setattr(Replicas, "world_size", 4)
    assert strategy_of(SimpleNamespace(num_rows=10))._share_of((torch.zeros(3, 5), torch.zeros(3))) == 0.3
    assert strategy_of([])._share_of(torch.zeros(3, 5)) == 0.25


if __name__ == "__main__":
    keep(sys.argv[1], sys.argv[2])
