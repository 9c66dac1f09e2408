"""One training of a model with one estimator, measured along a given number of evaluations of f."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias, final

import torch
from docs.catalogue import Entry, Latents, entries

from reparam_suite.data import MNIST, ArrayDataModule, Digits
from reparam_suite.diagnostics import gradient_statistics
from reparam_suite.estimators import Average
from reparam_suite.models import VAE

Dataset: TypeAlias = Literal["Digits", "MNIST"]

NUM_MARKS = 12
"""Places along training at which bound and variance are measured, evenly over the budget; and the start."""
VALIDATED = 1_000
"""Validation data at each mark, at most."""


@final
@dataclass(frozen=True)
class Task:
    """One training.

    Args:
        estimator: its name in the table of estimators.
        latents: of the model, which is the one of that table.
        dataset: to train on.
        root: where downloaded data are.
        budget: evaluations of f for one datum of each batch, over all of training.
        seed: of weights, data and noise.
    """

    estimator: str
    latents: Latents
    dataset: Dataset
    root: Path
    budget: int
    seed: int


@final
@dataclass
class Curve:
    """What a training did: a value at the start and at each mark.

    Attributes:
        steps: taken.
        evaluations: of f for one datum of each batch.
        seconds: of training steps, on the processor.
        elbo: on validation data, nats.
        variance: trace of the covariance of the encoder's gradient.
    """

    steps: list[int] = field(default_factory=list)
    evaluations: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    elbo: list[float] = field(default_factory=list)
    variance: list[float] = field(default_factory=list)

    @property
    def ms_per_step(self) -> float:
        """Over the whole training."""
        return 1e3 * self.seconds[-1] / self.steps[-1]


def entry(name: str) -> Entry:
    """The estimator of that name in the table."""
    return next(each for each in entries() if each.name == name)


def data_of(dataset: Dataset, root: Path, seed: int) -> ArrayDataModule:
    """The data, ready.

    Raises:
        DataError: if they cannot be had.
    """
    data: ArrayDataModule = Digits(seed=seed) if dataset == "Digits" else MNIST(root=root, seed=seed)
    data.prepare_data()
    data.setup()
    return data


def train(task: Task) -> Curve:
    """A plain loop over the model's own training step."""
    torch.set_num_threads(1)
    torch.manual_seed(task.seed)
    data = data_of(task.dataset, task.root, task.seed)
    model = task.latents.model(entry(task.estimator).make(), Average(), data.num_features)
    optimizer = model.configure_optimizers()
    x = data.sample_batch("valid")
    evaluations = model.estimator.evaluations(model.posterior_of(x[:1]))
    num_steps = max(1, task.budget // evaluations)
    marks = {round(num_steps * mark / NUM_MARKS) for mark in range(NUM_MARKS + 1)}
    curve, step, seconds = Curve(), 0, 0.0
    measure(model, data, x, curve, step, evaluations, seconds)
    while step < num_steps:
        for batch in data.train_dataloader():
            start = time.process_time()
            optimizer.zero_grad()
            model.training_step(batch, step).backward()
            optimizer.step()
            seconds += time.process_time() - start
            step += 1
            if step in marks:
                measure(model, data, x, curve, step, evaluations, seconds)
            if step == num_steps:
                break
    return curve


def measure(
    model: VAE, data: ArrayDataModule, x: torch.Tensor, curve: Curve, step: int, evaluations: int, seconds: float
) -> None:
    """Adds a mark to the curve; training does not notice."""
    curve.steps.append(step)
    curve.evaluations.append(step * evaluations)
    curve.seconds.append(seconds)
    curve.elbo.append(validated(model, data))
    curve.variance.append(gradient_statistics(model, x)["encoder"].variance.item())


@torch.no_grad()
def validated(model: VAE, data: ArrayDataModule) -> float:
    """The evidence bound on the first VALIDATED validation data, nats."""
    batches, rows = [], 0
    for batch in data.val_dataloader():
        batches.append(batch[: VALIDATED - rows])
        rows += len(batches[-1])
        if rows >= VALIDATED:
            break
    return model.validate_on(batches)["val/elbo"]


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """The mean and its standard error, which is 0 for a single value."""
    each = torch.tensor(values, dtype=torch.float64)
    error = each.std() / len(values) ** 0.5 if len(values) > 1 else each.new_zeros(())
    return each.mean().item(), error.item()
