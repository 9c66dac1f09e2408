"""How do all estimators of discrete latents compare on one model, at equal evaluations of f and in equal time?

    python -m experiments.discrete_baseline

Eight Bernoulli latents, or four categorical ones of four classes for estimators that take those alone: 256 states in
either case, so that the exact gradient is known. Trained on the digits with Adam at 1e-3.

Variance, bias and the time of a gradient are measured on one checkpoint, the same for all, which was trained with
leave-one-out. What an estimator learns or remembers is trained there on the frozen model first; the table has the
variance before as well. The time is that of the processor, which other work on the machine disturbs least.

Each estimator has two budgets: a number of evaluations of f, and a time for its gradients, the part of a step in which
estimators differ. A training lasts until both are spent, and the bound is read at the end of either, a mean over seeds.
The times of the first call in a root decide the numbers of steps; later calls find its trainings.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, count, islice
from pathlib import Path
from typing import Any, final

from benchmarks.catalogue import Latents, entries, entry
from experiments.presenting import Experiment, Findings, rounded
from experiments.setting import Length, Setting
from experiments.trainings import Comparison, Curve, equal_evaluations, mean_and_error, trained
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torch.distributions import Bernoulli

from reparam_suite import Run, compare_gradients
from reparam_suite.comparison.gradient_comparison import GradientComparison
from reparam_suite.data import Digits
from reparam_suite.distributions import OneHotCategorical
from reparam_suite.estimators import Average, LeaveOneOut, ScoreFunction
from reparam_suite.figures import COLOURS, QUIET, WIDTH, styled
from reparam_suite.models import VAE
from reparam_suite.runtime.expressions import written
from reparam_suite.training import RecordSettings

NAME = "discrete_baseline"
BITS, CLASSES = Latents(Bernoulli, 8), Latents(OneHotCategorical, 4, 4)
NUM_SEEDS = 3
CHECKPOINT_STEPS = 2_000
LEARNING_STEPS = 300
"""For what an estimator learns or remembers, on the frozen checkpoint."""
REPEATS = 32


@final
@dataclass(frozen=True)
class TwoBudgets:
    """The budgets of every estimator.

    Args:
        evaluations: of f per datum of each batch, over all of training.
        seconds: of gradients, over all of training.
    """

    evaluations: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.evaluations:,} evaluations and {self.seconds:g} s of gradients"


BUDGETS: Mapping[Length, TwoBudgets] = {"short": TwoBudgets(8_000, 10.0), "full": TwoBudgets(40_000, 50.0)}


def fitting() -> dict[str, Latents]:
    """Every discrete estimator with the latents it is trained on: bits if it takes them, which most do."""
    found: dict[str, Latents] = {}
    for listed in entries():
        for latents in (BITS, CLASSES):
            if listed.name not in found and latents.largest_for(listed, Average) == latents:
                found[listed.name] = latents
    return found


def checkpoint(latents: Latents, setting: Setting) -> VAE:
    """The model that every estimator is measured on, with the weights of its last step."""
    data = Digits()

    def make_model() -> VAE:
        return latents.model(ScoreFunction(num_samples=4, baseline=LeaveOneOut()), Average(), data.event_shape[0])

    run = Run(
        make_model,
        data,
        max_steps=CHECKPOINT_STEPS,
        name=f"{NAME}-checkpoint-{latents}",
        tags={"experiment": NAME},
        trainer={"accelerator": "cpu", "limit_val_batches": 0},
        record=RecordSettings(test_data=0),
        tracking=setting.tracking,
    )
    model: VAE = run.fit().model
    return model


def training_batches(data: Digits, number: int) -> Iterator[Tensor]:
    """`number` minibatches, through the training data again and again."""
    return islice(chain.from_iterable(data.train_dataloader() for _ in count()), number)


@final
@dataclass(frozen=True)
class Measured:
    """The gradient of an estimator with respect to the encoder, on the checkpoint of its latents.

    Attributes:
        unbiased: whether the estimator is declared unbiased.
        variance: trace of the covariance.
        error: standard error of the variance.
        untrained: the variance before training what the estimator learns; None if it learns nothing.
        learning_evaluations: of f per datum, for that training.
        bias: relative to the norm of the exact gradient; of an unbiased estimator the least bias that would be seen.
        ms: per gradient.
    """

    unbiased: bool
    variance: float
    error: float
    untrained: float | None
    learning_evaluations: int
    bias: float
    ms: float


def measured(latents_by_name: Mapping[str, Latents], setting: Setting) -> dict[str, Measured]:
    """Variance, bias and time of each."""
    found: dict[str, Measured] = {}
    for latents in (BITS, CLASSES):
        estimators = {name: entry(name).at_defaults for name, own in latents_by_name.items() if own == latents}
        model, data = checkpoint(latents, setting), Digits()
        data.setup("fit")
        comparison = compare_gradients(
            model,
            data.sample_batch("valid"),
            estimators.values(),
            reference=entry("Enumeration").at_defaults,
            train_on=training_batches(data, LEARNING_STEPS),
            num_repeats=REPEATS,
        )
        names = {written(estimator): name for name, estimator in estimators.items()}
        found |= {names[expression]: row for expression, row in _of_encoder(comparison)}
    return found


def _of_encoder(comparison: GradientComparison) -> Iterator[tuple[str, Measured]]:
    for row in comparison.rows:
        before, training = comparison.untrained.get(row.name), comparison.training.get(row.name)
        found, bias = row.statistics["encoder"], row.bias["encoder"]
        yield (
            row.name,
            Measured(
                unbiased=row.unbiased,
                variance=float(found.variance),
                error=float(found.standard_error),
                untrained=None if before is None else float(before.statistics["encoder"].variance),
                learning_evaluations=0 if training is None else training.evaluations,
                bias=float(bias.resolution if row.unbiased else bias.relative),
                ms=row.cost.milliseconds,
            ),
        )


def steps_in_time(milliseconds: Mapping[str, float], budget: TwoBudgets, root: Path) -> dict[str, int]:
    """Steps of which the gradients take the time of the budget, as they were decided when first asked for in this root.

    Args:
        milliseconds: of a gradient, by the name of the estimator.
        budget: of the trainings.
        root: where they are kept.
    """
    file = root / f"{NAME}, {budget}.json"
    decided: dict[str, int] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    now = {name: max(1, round(1e3 * budget.seconds / ms)) for name, ms in milliseconds.items()}
    file.write_text(json.dumps(now | decided, indent=1), encoding="utf-8")
    return now | decided


def answer(setting: Setting) -> Findings:
    """Trains and measures all of them."""
    latents, budget = fitting(), BUDGETS[setting.length]
    rows_by_name = measured(latents, setting)
    in_time = steps_in_time({name: row.ms for name, row in rows_by_name.items()}, budget, setting.tracking.root)
    ends = {name: Ends(steps, in_time[name]) for name, steps in equal_evaluations(latents, budget.evaluations).items()}
    num_steps = {name: max(own.of_evaluations, own.of_time) for name, own in ends.items()}
    curves = trained(Comparison(NAME, str(budget), latents, "Digits", num_steps, setting), NUM_SEEDS)
    numbers: dict[str, Any] = {"budget": budget.evaluations, "seconds": budget.seconds, "seeds": NUM_SEEDS}
    for name, own in latents.items():
        numbers[_key(name)] = _numbers(own, ends[name], curves[name], rows_by_name[name])
    order = sorted(latents, key=lambda name: -numbers[_key(name)]["elbo"])
    rows = [_cells(name, numbers[_key(name)]) for name in order]
    columns = ("estimator", "equal f", "equal time", "var.", "before", "bias")
    return Findings(numbers, columns, rows, figure(numbers, order))


@final
@dataclass(frozen=True)
class Ends:
    """The steps at which the two budgets of an estimator are spent.

    Args:
        of_evaluations: the budget of evaluations.
        of_time: the budget of seconds.
    """

    of_evaluations: int
    of_time: int


def _key(name: str) -> str:
    return name.replace("ScoreFunction, ", "ScoreFunction_")


def _numbers(latents: Latents, ends: Ends, curves: list[Curve], row: Measured) -> dict[str, Any]:
    elbo, error = mean_and_error([curve.elbo_at(ends.of_evaluations) for curve in curves])
    in_time, error_in_time = mean_and_error([curve.elbo_at(ends.of_time) for curve in curves])
    return {
        "latents": str(latents),
        "unbiased": row.unbiased,
        "evaluations": curves[0].evaluations,
        "steps": ends.of_evaluations,
        "elbo": rounded(elbo),
        "standard_error": rounded(error, 2),
        "steps_in_time": ends.of_time,
        "elbo_in_time": rounded(in_time),
        "standard_error_in_time": rounded(error_in_time, 2),
        "learns": row.untrained is not None,
        "learning_evaluations": row.learning_evaluations,
        "variance": rounded(row.variance, 3),
        "standard_error_of_variance": rounded(row.error, 2),
        "untrained_variance": None if row.untrained is None else rounded(row.untrained, 3),
        "relative_bias": None if row.unbiased else rounded(row.bias, 3),
        "relative_bias_below": rounded(row.bias, 2) if row.unbiased else None,
        "ms": rounded(row.ms, 3),
        "work_normalized_variance": rounded(row.variance * row.ms, 3),
    }


def _cells(name: str, found: Mapping[str, Any]) -> list[str]:
    return [
        name.removeprefix("ScoreFunction, ") + ("" if found["latents"] == str(BITS) else " (classes)"),
        f"{found['elbo']:.2f} ± {found['standard_error']:.2f}",
        f"{found['elbo_in_time']:.2f} ± {found['standard_error_in_time']:.2f}",
        _short(found["variance"]),
        _short(found["untrained_variance"]) if found["learns"] else "",
        f"<{max(found['relative_bias_below'], 0.01):.0%}" if found["unbiased"] else f"{found['relative_bias']:.0%}",
    ]


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


@styled
def figure(numbers: Mapping[str, Any], order: list[str]) -> Figure:
    """The bound at the end of either budget, and variance times time of a gradient."""
    whole = Figure(figsize=(WIDTH * 1.5, 0.23 * len(order) + 1.1))
    panels = whole.subplots(1, 3, sharey=True)
    for ax, ending in zip(panels, ("", "_in_time"), strict=False):
        _draw_bounds(ax, [numbers[_key(name)] for name in reversed(order)], ending)
    panels[0].set_title(f"After {numbers['budget']:,} evaluations of f")
    panels[1].set_title(f"After {numbers['seconds']:g} s of gradients")
    for position, name in enumerate(reversed(order)):
        found = numbers[_key(name)]
        if found["work_normalized_variance"] > 0:
            error = 2 * found["standard_error_of_variance"] * found["ms"]
            style = {"fmt": _marker(found), "color": _colour(found)}
            panels[2].errorbar(found["work_normalized_variance"], position, xerr=error, **style)
    panels[0].set_yticks(range(len(order)), [name.removeprefix("ScoreFunction, ") for name in reversed(order)])
    panels[0].set_ylim(-0.8, len(order) - 0.2)
    panels[2].set(xscale="log", xlabel="variance x milliseconds, encoder")
    panels[2].set_title("On one checkpoint")
    handles = [
        panels[2].plot([], [], "o", color=COLOURS[0], label="unbiased")[0],
        panels[2].plot([], [], "o", color=COLOURS[1], label="biased")[0],
        panels[2].plot([], [], "s", color=QUIET, label="categorical latents")[0],
    ]
    whole.legend(handles=handles, loc="outside lower center", ncols=3)
    return whole


def _draw_bounds(ax: Axes, rows: list[Mapping[str, Any]], ending: str) -> None:
    bounds = [found[f"elbo{ending}"] for found in rows]
    left = _left_edge(bounds)
    for position, (found, elbo) in enumerate(zip(rows, bounds, strict=True)):
        error = 2 * found[f"standard_error{ending}"]
        ax.errorbar(elbo, position, xerr=error, fmt=_marker(found), color=_colour(found))
        if elbo < left:
            ax.annotate(f"◂ {elbo:.1f}", (left, position), color=_colour(found), va="center", annotation_clip=False)
    ax.set_xlabel("validation ELBO, nats (two standard errors)")
    ax.set_xlim(left=left)


def _marker(found: Mapping[str, Any]) -> str:
    return "o" if found["latents"] == str(BITS) else "s"


def _colour(found: Mapping[str, Any]) -> str:
    return COLOURS[0] if found["unbiased"] else COLOURS[1]


def _left_edge(elbo: list[float]) -> float:
    # An estimator with so few steps that it has hardly begun would squeeze all others together.
    best, least = max(elbo), sorted(elbo)[len(elbo) // 10]
    return min(elbo) - 1.0 if min(elbo) > best - 2 * (best - least) else least - 0.1 * (best - least)


EXPERIMENT = Experiment(
    name=NAME,
    question="How do all estimators of discrete latents compare on one model?",
    answer=answer,
    short=f"{BUDGETS['short']}, {NUM_SEEDS} seeds",
    full=f"{BUDGETS['full']}, {NUM_SEEDS} seeds",
)

if __name__ == "__main__":
    raise SystemExit(EXPERIMENT.main())
