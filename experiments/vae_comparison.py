"""The comparison that vae_on_digits and vae_on_mnist make: one Gaussian VAE under several estimators."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Any, final, get_args

import numpy as np
from benchmarks.catalogue import Latents
from experiments.presenting import Experiment, Findings, rounded
from experiments.setting import Length, Setting
from experiments.trainings import (
    Comparison,
    Curve,
    Dataset,
    Points,
    averaged,
    equal_evaluations,
    mean_and_error,
    trained,
)
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch.distributions import Normal

from reparam_suite.figures import COLOURS, WIDTH, styled

ESTIMATORS = (
    "Pathwise",
    "StickTheLanding",
    "ScoreFunction, NoBaseline",
    "ScoreFunction, MovingAverage",
    "ScoreFunction, OptimalConstant",
    "ScoreFunction, Learned",
    "ScoreFunction, LeaveOneOut",
    "ScoreFunction, VarianceNormalized",
)
STYLES = dict(zip(ESTIMATORS, (*COLOURS, COLOURS[1]), strict=True))


@final
@dataclass(frozen=True)
class Study:
    """The model, its data, and the length of the trainings.

    Args:
        dataset: to train on.
        num_latents: normal ones, of the model.
        budgets: evaluations of f for one datum of each batch, at each length.
        num_seeds: trainings with each estimator, at each length.
    """

    dataset: Dataset
    num_latents: int
    budgets: Mapping[Length, int]
    num_seeds: Mapping[Length, int]


def experiment(name: str, study: Study) -> Experiment:
    """The experiment of that name that makes the comparison of the study."""
    short, full = (
        f"{study.budgets[length]:,} evaluations, {study.num_seeds[length]} seeds" for length in get_args(Length)
    )
    where = "the digits" if study.dataset == "Digits" else study.dataset
    return Experiment(
        name=name,
        question=f"How does the estimator change the training of one VAE on {where}?",
        answer=partial(compare, name, study),
        short=short,
        full=full,
    )


def compare(name: str, study: Study, setting: Setting) -> Findings:
    """Trains all of them; bound against steps, evaluations and seconds, and variance along training.

    Raises:
        DataError: if the data cannot be had.
    """
    latents = dict.fromkeys(ESTIMATORS, Latents(Normal, study.num_latents))
    budget = study.budgets[setting.length]
    num_steps = equal_evaluations(latents, budget)
    comparison = Comparison(name, f"{budget:,} evaluations", latents, study.dataset, num_steps, setting)
    comparison.data().prepare_data()  # once, before several processes need them
    num_seeds = study.num_seeds[setting.length]
    by_name = trained(comparison, num_seeds)
    numbers, rows = _summary(by_name)
    numbers = {"budget": budget, "seeds": num_seeds, **numbers}
    columns = ("estimator", "steps", "ELBO", "± s.e.", "variance", "ms per step")
    return Findings(numbers, columns, rows, figure(by_name))


def _summary(by_name: Mapping[str, Sequence[Curve]]) -> tuple[dict[str, Any], list[list[str]]]:
    numbers: dict[str, Any] = {}
    rows = []
    for name, curves in by_name.items():
        elbo, error = mean_and_error([curve.elbo[-1][1] for curve in curves])
        variance, _ = mean_and_error([curve.variance[-1][1] for curve in curves])
        ms, _ = mean_and_error([curve.ms_per_step for curve in curves])
        numbers[name.replace("ScoreFunction, ", "ScoreFunction_")] = {
            "steps": curves[0].num_steps,
            "elbo": rounded(elbo),
            "standard_error": rounded(error, 2),
            "variance": rounded(variance, 3),
            "ms_per_step": rounded(ms, 3),
        }
        shown = name.removeprefix("ScoreFunction, ")
        rows.append([shown, f"{curves[0].num_steps:,}", f"{elbo:.2f}", f"{error:.2f}", f"{variance:.3g}", f"{ms:.2f}"])
    return numbers, rows


@styled
def figure(by_name: Mapping[str, Sequence[Curve]]) -> Figure:
    """Three panels of the bound, and one of the variance; a line per estimator, thin lines for its seeds."""
    whole = Figure(figsize=(WIDTH * 1.35, 6.2))
    (steps, evaluations), (seconds, variance) = whole.subplots(2, 2)
    for name, curves in by_name.items():
        evaluations_per_step = curves[0].evaluations
        seconds_per_step = 1e-3 * fmean(curve.ms_per_step for curve in curves)
        for ax, per_step in ((steps, 1.0), (evaluations, evaluations_per_step), (seconds, seconds_per_step)):
            _lines(ax, [curve.elbo for curve in curves], per_step, name)
        _lines(variance, [curve.variance for curve in curves], evaluations_per_step, name)
    reached = np.sort([curve.elbo[-1][1] for curves in by_name.values() for curve in curves])
    worst, best = reached[len(reached) // 10], reached[-1]  # a training that diverged is outside
    for ax, label in ((steps, "steps"), (evaluations, "evaluations of f"), (seconds, "seconds")):
        ax.set(xlabel=label, ylim=(worst - 0.5 * (best - worst), best + 0.1 * (best - worst)))
    steps.set_ylabel("validation ELBO, nats")
    seconds.set_ylabel("validation ELBO, nats")
    variance.set(xlabel="evaluations of f", yscale="log")
    variance.set_title("Variance of the encoder's gradient")
    steps.set_title("The bound, against steps")
    evaluations.set_title("against evaluations of f")
    seconds.set_title("against time")
    whole.legend(*steps.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return whole


def _lines(ax: Axes, curves: Sequence[Points], per_step: float, name: str) -> None:
    style = {"color": STYLES[name], "linestyle": "--" if name.endswith("VarianceNormalized") else "-"}
    for points in curves:
        ax.plot(*_line(points, per_step), linewidth=0.6, alpha=0.5, **style)
    ax.plot(*_line(averaged(curves), per_step), label=name, **style)


def _line(points: Points, per_step: float) -> tuple[list[float], list[float]]:
    return [per_step * step for step, _ in points], [value for _, value in points]
