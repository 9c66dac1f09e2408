"""How close are our results to published figures at the published settings?

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

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias, final

import torch
from experiments.presenting import Experiment, Findings, rounded
from experiments.setting import Length, Setting
from experiments.trainings import mean_and_error, num_workers, require_success
from matplotlib.figure import Figure

from reparam_suite import Run, Sweep, load
from reparam_suite.data import MNIST
from reparam_suite.estimators import (
    REBAR,
    RELAX,
    GradientEstimator,
    GumbelSoftmax,
    Learned,
    MuProp,
    Pathwise,
    ScoreFunction,
    StickTheLanding,
)
from reparam_suite.figures import COLOURS, HAIRLINE, INK, WIDTH, styled
from reparam_suite.models import VAE, DiscreteVAE, GaussianVAE, OptimizerSettings, StagedSchedule
from reparam_suite.models.held_out_bounds import held_out_bounds
from reparam_suite.objectives import ELBO, ImportanceWeighted
from reparam_suite.training import RecordSettings

NAME = "published_tables"

Table: TypeAlias = Literal["IWAE", "RELAX"]

THEIR_ERROR = 0.5
SEEDS = {"short": 1, "full": 3}
STAGES = {"short": 3, "full": 8}
"""Stages of the importance-weighted autoencoder's schedule: 13 epochs, or all 3,280."""
STEPS = {"short": 25_000, "full": 2_000_000}
"""Steps of the linear model."""
STEPS_PER_EPOCH = 2_500
"""Those of the importance-weighted autoencoder: 50,000 training images in batches of 20."""
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


BY_NAME = {row.name: row for row in ROWS}


def model_of(row: Row, num_features: int, stages: Sequence[tuple[int, float]]) -> VAE:
    """The published architecture with our estimator, under the published schedule."""
    estimator = row.estimator()
    if row.table == "IWAE":
        return GaussianVAE(
            event_shape=(num_features,),
            latent_size=row.num_latents,
            hidden_sizes=(200, 200),
            activation="tanh",
            estimator=estimator,
            objective=ImportanceWeighted() if estimator.num_samples > 1 else ELBO(kl="sampled"),
            optimizer=OptimizerSettings(
                options={"betas": [0.99, 0.999], "eps": 1e-4}, schedule=StagedSchedule(stages=stages)
            ),
        )
    settings = OptimizerSettings(options={"betas": [0.9, 0.99999]})
    control = OptimizerSettings(learning_rate=1e-2, options={"betas": [0.9, 0.99999]})
    return DiscreteVAE(
        event_shape=(num_features,),
        latent_size=row.num_latents,
        hidden_sizes=(),
        estimator=estimator,
        prior="learned",
        optimizer={"encoder": settings, "decoder": settings, "prior": settings, "control": control},
    )


def schedule(row: Row, length: Length, steps_per_epoch: int) -> list[tuple[int, float]]:
    """Stages of the training: the steps of each, and the factor of the learning rate of 1e-3."""
    if row.table == "RELAX":
        return [(STEPS[length], 1.0)]
    return [(3**stage * steps_per_epoch, round(10 ** (1 - stage / 7), 1) / 10) for stage in range(STAGES[length])]


@final
@dataclass(frozen=True)
class Training:
    """Makes the run of a row, named, with a seed.

    Args:
        setting: of the experiment.
    """

    setting: Setting

    def __call__(self, *, row: str, seed: int) -> Run:
        """The run, whose last weights count."""
        published = BY_NAME[row]
        data = MNIST(root=self.setting.data_root, batch_size=20 if published.table == "IWAE" else 24)
        stages = schedule(published, self.setting.length, STEPS_PER_EPOCH)
        return Run(
            lambda: model_of(published, math.prod(data.event_shape), stages),
            data,
            seed=seed,
            max_steps=sum(num_steps for num_steps, _ in stages),
            tags={"experiment": NAME},
            trainer={
                "accelerator": "cpu" if self.setting.length == "short" else "auto",
                "limit_val_batches": 0,
                **({} if published.table == "IWAE" else {"limit_test_batches": 1}),
            },
            record=RecordSettings(
                test_samples=5_000, test_data=EVALUATED[self.setting.length] if published.table == "IWAE" else 0
            ),
            tracking=self.setting.tracking,
        )


def evaluated(row: Row, found: Mapping[str, Any], setting: Setting) -> float:
    """The published quantity: the bound with K = 5,000 on test data, or the evidence bound on training data."""
    if row.table == "IWAE":
        partly = "" if setting.length == "full" else f"_from_{EVALUATED[setting.length]}"
        return float(found[f"test/bound_5000{partly}"])
    model, left, values = load(found["run_id"], tracking=setting.tracking), EVALUATED[setting.length], []
    for batch in MNIST(root=setting.data_root).undivided("train"):
        x = batch[:left]
        values.append(held_out_bounds(model, x, 100)["elbo"])
        left -= len(x)
        if not left:
            break
    return torch.cat(values).mean().item()


def answer(setting: Setting) -> Findings:
    """All rows of the length, ours beside theirs."""
    MNIST(root=setting.data_root).prepare_data()  # once, before several processes need them
    length = setting.length
    rows = [row for row in ROWS if length in row.lengths]
    sweep = Sweep(
        Training(setting),
        grid={"row": [row.name for row in rows]},
        seeds=range(SEEDS[length]),
        name=f"{NAME}, {length}",
        workers=num_workers(),
    )
    frame = sweep.run().frame
    require_success(frame["reason"])
    numbers: dict[str, Any] = {"their_error": THEIR_ERROR, "evaluated_on": EVALUATED[length]}
    for row in rows:
        of_row = frame[frame["row"] == row.name].to_dict("records")
        num_steps = sum(steps for steps, _ in schedule(row, length, STEPS_PER_EPOCH))
        numbers[_key(row)] = _compared(row, [(num_steps, evaluated(row, found, setting)) for found in of_row])
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
    """Ours beside theirs, a line per setting."""
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
    name=NAME,
    question="How close are our results to published figures at the published settings?",
    answer=answer,
    short=f"{STAGES['short']} of 8 stages, {STEPS['short']:,} of 2,000,000 steps",
    full="as published; for a GPU",
)

if __name__ == "__main__":
    raise SystemExit(EXPERIMENT.main())
