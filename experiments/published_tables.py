"""How near do we come to published figures at the published settings?

    python -m experiments.published_tables                  shortened: about ten minutes on two cores
    python -m experiments.published_tables --length full    as published: for a GPU, days

Two tables on MNIST. The importance-weighted autoencoder of Burda, Grosse & Salakhutdinov (2016), one stochastic layer:
50 normal latents, two hidden layers of 200 tanh units each way, batches of 20, Adam with epsilon 1e-4, 3^(i-1) epochs
at the learning rate 1e-4 round(10^(1-(i-1)/7), 1) for i = 1..8; the figure is the bound with K = 5,000 on test data.
And the linear discrete model of Grathwohl, Choi, Wu, Roeder & Duvenaud (2018): 200 Bernoulli latents, no hidden layer,
batches of 24, two million steps; the figure is the best bound on training data.

Differences from the published settings: we hold back 10,000 training images, the first held back 400; the second does
not say how it binarizes, we do it dynamically, and it tried five learning rates, we take 1e-3. Theirs come without an
error; single runs of such models vary by about half a nat, which is taken for one standard error of theirs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias, final

import torch
from experiments.learning_curves import mean_and_error
from experiments.parallel import in_processes
from experiments.presenting import Experiment, Findings, Length, Setting, rounded
from matplotlib.figure import Figure
from torch import Tensor

from reparam_suite.data import MNIST
from reparam_suite.estimators import (
    REBAR,
    RELAX,
    Average,
    GradientEstimator,
    GumbelSoftmax,
    Learned,
    LogMeanExp,
    MuProp,
    Pathwise,
    ScoreFunction,
    StickTheLanding,
)
from reparam_suite.figures import COLOURS, HAIRLINE, INK, WIDTH, styled
from reparam_suite.models import VAE, DiscreteVAE, GaussianVAE, OptimizerSettings
from reparam_suite.objectives import held_out_bounds

Table: TypeAlias = Literal["IWAE", "RELAX"]

THEIR_ERROR = 0.5
SEEDS = {"short": 1, "full": 3}
STAGES = {"short": 3, "full": 8}
"""Of the importance-weighted autoencoder's schedule: 13 epochs, or all 3,280."""
STEPS = {"short": 25_000, "full": 2_000_000}
"""Of the linear model."""
EVALUATED = {"short": 200, "full": 10_000}
"""Data on which the figure is measured."""


@final
@dataclass(frozen=True)
class Row:
    """One published figure.

    Args:
        name: in our table.
        table: that it comes from.
        figure: theirs, nats.
        estimator: makes ours.
        num_latents: of the model.
        lengths: at which it is run; the costly ones only in full.
    """

    name: str
    table: Table
    figure: float
    estimator: Callable[[], GradientEstimator]
    num_latents: int
    lengths: tuple[Length, ...] = ("short", "full")


@final
@dataclass(frozen=True)
class Repetition:
    """One training for a published figure.

    Args:
        row: the figure.
        seed: of weights, data and noise.
        length: short or full.
        root: where downloaded data are.
    """

    row: Row
    seed: int
    length: Length
    root: Path


def _nvil() -> GradientEstimator:
    return ScoreFunction(baseline=Learned())


ROWS = (
    Row("VAE, k = 1", "IWAE", -86.76, Pathwise, 50),
    Row("IWAE, k = 5", "IWAE", -85.54, partial(Pathwise, num_samples=5), 50),
    Row("IWAE, k = 50", "IWAE", -84.78, partial(Pathwise, num_samples=50), 50, lengths=("full",)),
    Row("DReG, k = 5, 100 latents", "IWAE", -84.90, partial(StickTheLanding, num_samples=5), 100),
    Row("Concrete", "RELAX", -111.3, GumbelSoftmax, 200),
    Row("NVIL", "RELAX", -112.5, _nvil, 200),
    Row("MuProp", "RELAX", -111.7, MuProp, 200),
    Row("REBAR", "RELAX", -111.6, REBAR, 200),
    Row("RELAX", "RELAX", -111.20, RELAX, 200),
)


def model_of(row: Row, num_features: int) -> VAE:
    """The published architecture with our estimator."""
    estimator = row.estimator()
    if row.table == "IWAE":
        return GaussianVAE(
            num_features=num_features,
            latent_size=row.num_latents,
            hidden_sizes=(200, 200),
            activation="tanh",
            estimator=estimator,
            bound=LogMeanExp() if estimator.num_samples > 1 else Average(),
            kl="sampled",
            optimizer=OptimizerSettings(options={"betas": [0.99, 0.999], "eps": 1e-4}),
        )
    return DiscreteVAE(
        num_features=num_features,
        latent_size=row.num_latents,
        hidden_sizes=(),
        estimator=estimator,
        prior="learned",
        optimizer=OptimizerSettings(options={"betas": [0.9, 0.99999]}),
        control_optimizer=OptimizerSettings(learning_rate=1e-2, options={"betas": [0.9, 0.99999]}),
    )


def schedule(row: Row, length: Length, steps_per_epoch: int) -> Iterator[float]:
    """The learning rate of each step."""
    if row.table == "RELAX":
        for _ in range(STEPS[length]):
            yield 1e-3
        return
    for stage in range(STAGES[length]):
        rate = 1e-4 * round(10 ** (1 - stage / 7), 1)
        for _ in range(3**stage * steps_per_epoch):
            yield rate


def train(task: Repetition) -> tuple[int, float]:
    """Steps taken, and the figure that was reached."""
    torch.set_num_threads(1)
    torch.manual_seed(task.seed)
    row = task.row
    data = MNIST(root=task.root, batch_size=20 if row.table == "IWAE" else 24, seed=task.seed)
    data.setup()
    model = model_of(row, data.num_features)
    optimizer = model.configure_optimizers()
    batches = _batches(data)
    steps = 0
    for rate in schedule(row, task.length, len(data.train_dataloader())):
        if row.table == "IWAE":
            for group in optimizer.param_groups:
                group["lr"] = rate
        optimizer.zero_grad()
        model.training_step(next(batches), steps).backward()
        optimizer.step()
        steps += 1
    return steps, evaluated(model, row, data, EVALUATED[task.length])


def _batches(data: MNIST) -> Iterator[Tensor]:
    while True:
        yield from data.train_dataloader()


def evaluated(model: VAE, row: Row, data: MNIST, num_rows: int) -> float:
    """The published quantity: the bound with K = 5,000 on test data, or the evidence bound on training data."""
    loader = data.test_dataloader() if row.table == "IWAE" else data.train_dataloader()
    name, num_samples = ("bound", 5_000) if row.table == "IWAE" else ("elbo", 100)
    values: list[Tensor] = []
    rows = 0
    for batch in loader:
        x = batch[: num_rows - rows]
        values.append(held_out_bounds(model, x, num_samples)[name])
        rows += len(x)
        if rows >= num_rows:
            break
    return torch.cat(values).mean().item()


def answer(setting: Setting) -> Findings:
    """All rows that the length has, ours beside theirs."""
    MNIST(root=setting.data_root).prepare_data()  # once, before several processes want it
    length = setting.length
    rows = [row for row in ROWS if length in row.lengths]
    tasks = [Repetition(row, seed, length, setting.data_root) for row in rows for seed in range(SEEDS[length])]
    found = in_processes(train, tasks, "training")
    numbers: dict[str, Any] = {"their_error": THEIR_ERROR, "evaluated_on": EVALUATED[length]}
    for row in rows:
        numbers[_key(row)] = _compared(row, [reached for task, reached in found.items() if task.row is row])
    cells = [_cells(row, numbers[_key(row)]) for row in rows]
    columns = ("setting", "steps", "theirs", "ours", "± s.e.", "difference", "in s.e.")
    return Findings(numbers, columns, cells, figure(rows, numbers, length))


def _key(row: Row) -> str:
    return "".join(c if c.isalnum() else "_" for c in row.name)


def _compared(row: Row, found: list[tuple[int, float]]) -> dict[str, float]:
    ours, error = mean_and_error([value for _, value in found])
    whole_error = math.hypot(error, THEIR_ERROR)
    return {
        "steps": found[0][0],
        "theirs": row.figure,
        "ours": rounded(ours, 5),
        "standard_error": rounded(error, 2),
        "difference": rounded(ours - row.figure, 3),
        "standard_errors": rounded((ours - row.figure) / whole_error, 3),
    }


def _cells(row: Row, found: dict[str, float]) -> list[str]:
    error = f"{found['standard_error']:.2f}" if found["standard_error"] else "-"
    return [
        row.name,
        f"{found['steps']:,}",
        f"{row.figure:.2f}",
        f"{found['ours']:.2f}",
        error,
        f"{found['difference']:+.2f}",
        f"{found['standard_errors']:+.1f}",
    ]


@styled
def figure(rows: list[Row], numbers: dict[str, Any], length: Length) -> Figure:
    """Ours beside theirs, a line a setting."""
    whole = Figure(figsize=(WIDTH, 0.32 * len(rows) + 1.3))
    ax = whole.subplots()
    for position, row in enumerate(reversed(rows)):
        found = numbers[_key(row)]
        ax.plot([found["ours"], row.figure], [position, position], color=HAIRLINE, zorder=1)
        ax.plot(row.figure, position, "D", color=INK, label="published" if position == 0 else None)
        ax.plot(found["ours"], position, "o", color=COLOURS[0], label="ours" if position == 0 else None)
    ax.set_yticks(range(len(rows)), [row.name for row in reversed(rows)])
    ax.set(xlabel="nats", ylim=(-0.7, len(rows) - 0.3))
    shortened = "shortened training against published figures" if length == "short" else "published settings"
    ax.set_title(f"MNIST, {shortened}")
    whole.legend(loc="outside lower center", ncols=2)
    return whole


EXPERIMENT = Experiment(
    name="published_tables",
    question="How near do we come to published figures at the published settings?",
    answer=answer,
    short=f"{STAGES['short']} of 8 stages, {STEPS['short']:,} of 2,000,000 steps",
    full="as published; for a GPU",
)

if __name__ == "__main__":
    raise SystemExit(EXPERIMENT.main())
