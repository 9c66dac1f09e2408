"""The comparison that vae_on_digits and vae_on_mnist make: one Gaussian VAE under several estimators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, final, get_args

import numpy as np
from docs.catalogue import Latents
from experiments.learning_curves import Curve, Dataset, Task, data_of, mean_and_error, train
from experiments.parallel import in_processes
from experiments.presenting import Experiment, Findings, Length, Setting, Training, rounded
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
    """What is trained, and how long.

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
    short, full = (f"{study.budgets[each]:,} evaluations, {study.num_seeds[each]} seeds" for each in get_args(Length))
    where = "the digits" if study.dataset == "Digits" else study.dataset
    return Experiment(
        name=name,
        question=f"What does the estimator do to the training of one VAE on {where}?",
        answer=partial(compare, study),
        short=short,
        full=full,
    )


def compare(study: Study, setting: Setting) -> Findings:
    """Trains all of them; bound against steps, evaluations and seconds, and variance along training.

    Raises:
        DataError: if the data cannot be had.
    """
    data_of(study.dataset, setting.data_root, 0)  # once, before several processes want it
    budget, num_seeds = study.budgets[setting.length], study.num_seeds[setting.length]
    tasks = [
        Task(name, Latents(Normal, study.num_latents), study.dataset, setting.data_root, budget, seed)
        for name in ESTIMATORS
        for seed in range(num_seeds)
    ]
    curves = in_processes(train, tasks, study.dataset)
    by_name = {name: [curve for task, curve in curves.items() if task.estimator == name] for name in ESTIMATORS}
    numbers, rows = _summary(by_name)
    numbers = {"budget": budget, "seeds": num_seeds, **numbers}
    columns = ("estimator", "steps", "ELBO", "± s.e.", "variance", "ms a step")
    trainings = [Training.of(task, curve, "GaussianVAE") for task, curve in curves.items()]
    return Findings(numbers, columns, rows, figure(by_name), trainings)


def _summary(by_name: Mapping[str, Sequence[Curve]]) -> tuple[dict[str, Any], list[list[str]]]:
    numbers: dict[str, Any] = {}
    rows = []
    for name, curves in by_name.items():
        elbo, error = mean_and_error([curve.elbo[-1] for curve in curves])
        variance, _ = mean_and_error([curve.variance[-1] for curve in curves])
        ms, _ = mean_and_error([curve.ms_per_step for curve in curves])
        numbers[name.replace("ScoreFunction, ", "ScoreFunction_")] = {
            "steps": curves[0].steps[-1],
            "elbo": rounded(elbo),
            "standard_error": rounded(error, 2),
            "variance": rounded(variance, 3),
            "ms_per_step": rounded(ms, 3),
        }
        shown = name.removeprefix("ScoreFunction, ")
        rows.append([shown, f"{curves[0].steps[-1]:,}", f"{elbo:.2f}", f"{error:.2f}", f"{variance:.3g}", f"{ms:.2f}"])
    return numbers, rows


@styled
def figure(by_name: Mapping[str, Sequence[Curve]]) -> Figure:
    """Three panels of the bound, and one of the variance; a line an estimator, thin lines its seeds."""
    whole = Figure(figsize=(WIDTH * 1.35, 6.2))
    (steps, evaluations), (seconds, variance) = whole.subplots(2, 2)
    for name, curves in by_name.items():
        for ax, against in ((steps, "steps"), (evaluations, "evaluations"), (seconds, "seconds")):
            _lines(ax, [getattr(each, against) for each in curves], [each.elbo for each in curves], name)
        _lines(variance, [each.evaluations for each in curves], [each.variance for each in curves], name)
    reached = np.sort([curve.elbo[-1] for curves in by_name.values() for curve in curves])
    worst, best = reached[len(reached) // 10], reached[-1]  # a training that diverged leaves the picture
    for ax, label in ((steps, "steps"), (evaluations, "evaluations of f"), (seconds, "processor seconds")):
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


def _lines(ax: Axes, xs: Sequence[Sequence[float]], ys: Sequence[Sequence[float]], name: str) -> None:
    style = {"color": STYLES[name], "linestyle": "--" if name.endswith("VarianceNormalized") else "-"}
    for x, y in zip(xs, ys, strict=True):
        ax.plot(x, y, linewidth=0.6, alpha=0.5, **style)
    means = [[sum(values) / len(values) for values in zip(*each, strict=True)] for each in (xs, ys)]
    ax.plot(*means, label=name, **style)
