"""How do all estimators of discrete latents compare on one model, at the same number of evaluations of f?

    python -m experiments.discrete_baseline

Eight Bernoulli latents, or four categorical ones of four classes for estimators that take those alone: 256 states
in either case, so that the exact gradient is known. Trained on the digits with Adam at 1e-3; the bound is the mean over
seeds at the end of training. Variance, bias and time are measured on one checkpoint, the same for all, which was
trained with leave-one-out; what an estimator learns is there as new, and its variance that of an untrained one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from docs.catalogue import Latents, entries
from experiments.learning_curves import Curve, Task, data_of, entry, mean_and_error, train
from experiments.parallel import in_processes
from experiments.presenting import Experiment, Findings, Setting, Training, rounded
from matplotlib.figure import Figure
from rich.progress import track
from torch.distributions import Bernoulli

from reparam_suite.diagnostics import BasketRow, measure, reference_gradients
from reparam_suite.estimators import Average, LeaveOneOut, ScoreFunction
from reparam_suite.figures import COLOURS, QUIET, WIDTH, styled
from reparam_suite.models import VAE
from reparam_suite.distributions import OneHotCategorical

BITS, CLASSES = Latents(Bernoulli, 8), Latents(OneHotCategorical, 4, 4)
BUDGETS = {"short": 2_000, "full": 40_000}
NUM_SEEDS = 5
CHECKPOINT_STEPS = 2_000
REPEATS = 4


def fitting() -> dict[str, Latents]:
    """Every discrete estimator with the latents it is trained on: bits if it takes them, which most do."""
    found: dict[str, Latents] = {}
    for each in entries():
        families = each.at_defaults.families
        if Average not in each.bounds():
            continue
        if Bernoulli in families:
            found[each.name] = BITS
        elif OneHotCategorical in families:
            found[each.name] = CLASSES
    return found


def checkpoint(latents: Latents) -> tuple[VAE, torch.Tensor]:
    """The model that every estimator is measured on, and the minibatch."""
    torch.manual_seed(0)
    data = data_of("Digits", Path(), 0)
    model = latents.model(ScoreFunction(num_samples=4, baseline=LeaveOneOut()), Average(), data.num_features)
    optimizer = model.configure_optimizers()
    step = 0
    while step < CHECKPOINT_STEPS:
        for batch in data.train_dataloader():
            optimizer.zero_grad()
            model.training_step(batch, step).backward()
            optimizer.step()
            step += 1
    return model, data.sample_batch("valid")


def measured(names: Mapping[str, Latents]) -> dict[str, BasketRow]:
    """Variance, bias and cost of each, on the checkpoint of its latents."""
    rows: dict[str, BasketRow] = {}
    for latents in (BITS, CLASSES):
        model, x = checkpoint(latents)
        reference = reference_gradients(model, x)
        estimators = {name: entry(name).at_defaults for name, each in names.items() if each == latents}
        basket = measure(model, [x], estimators, num_repeats=REPEATS, references=[reference])
        for row in track(basket, f"{latents}, measuring", total=len(estimators), transient=True):
            rows[row.name] = row
    return rows


def answer(setting: Setting) -> Findings:
    """Trains and measures all of them."""
    names, budget = fitting(), BUDGETS[setting.length]
    basket = measured(names)
    tasks = [
        Task(name, latents, "Digits", setting.data_root, budget, seed)
        for name, latents in names.items()
        for seed in range(NUM_SEEDS)
    ]
    curves = in_processes(train, tasks, "training")
    numbers: dict[str, Any] = {"budget": budget, "seeds": NUM_SEEDS}
    for name, latents in names.items():
        own = [curve for task, curve in curves.items() if task.estimator == name]
        numbers[_key(name)] = _numbers(latents, own, basket[name])
    order = sorted(names, key=lambda name: -numbers[_key(name)]["elbo"])
    rows = [_cells(name, numbers[_key(name)]) for name in order]
    columns = ("estimator", "on", "f", "ELBO", "± s.e.", "variance", "bias", "ms")
    trainings = [Training.of(task, curve, "DiscreteVAE") for task, curve in curves.items()]
    return Findings(numbers, columns, rows, figure(numbers, order), trainings)


def _key(name: str) -> str:
    return name.replace("ScoreFunction, ", "ScoreFunction_")


def _numbers(latents: Latents, curves: list[Curve], row: BasketRow) -> dict[str, Any]:
    elbo, error = mean_and_error([curve.elbo[-1] for curve in curves])
    encoder = row.statistics["encoder"]
    return {
        "latents": str(latents),
        "unbiased": row.unbiased,
        "evaluations": row.cost.evaluations,
        "elbo": rounded(elbo),
        "standard_error": rounded(error, 2),
        "variance": rounded(float(encoder.variance), 3),
        "relative_bias": rounded(float(row.bias["encoder"].relative), 3),
        "ms": rounded(row.cost.milliseconds, 3),
        "work_normalized_variance": rounded(float(row.work_normalized("encoder")), 3),
    }


def _cells(name: str, found: Mapping[str, Any]) -> list[str]:
    bias = "0" if found["unbiased"] else f"{found['relative_bias']:.0%}"
    on = "bits" if found["latents"] == str(BITS) else "classes"
    elbo, error = f"{found['elbo']:.2f}", f"{found['standard_error']:.2f}"
    shown = name.removeprefix("ScoreFunction, ")
    return [shown, on, f"{found['evaluations']:,}", elbo, error, f"{found['variance']:.3g}", bias, f"{found['ms']:.3g}"]


@styled
def figure(numbers: Mapping[str, Any], order: list[str]) -> Figure:
    """Left, the bound that was reached; right, what a gradient costs in variance times time."""
    whole = Figure(figsize=(WIDTH * 1.2, 0.23 * len(order) + 1.1))
    bound, work = whole.subplots(1, 2, sharey=True)
    left = _left_edge([numbers[_key(name)]["elbo"] for name in order])
    for position, name in enumerate(reversed(order)):
        found = numbers[_key(name)]
        colour = COLOURS[0] if found["unbiased"] else COLOURS[1]
        marker = "o" if found["latents"] == str(BITS) else "s"
        bound.errorbar(found["elbo"], position, xerr=2 * found["standard_error"], fmt=marker, color=colour)
        if found["elbo"] < left:
            bound.annotate(f"◂ {found['elbo']:.1f}", (left, position), color=colour, va="center", annotation_clip=False)
        if found["work_normalized_variance"] > 0:
            work.plot(found["work_normalized_variance"], position, marker, color=colour)
    bound.set_yticks(range(len(order)), [name.removeprefix("ScoreFunction, ") for name in reversed(order)])
    bound.set(xlabel="validation ELBO, nats (two standard errors)", ylim=(-0.8, len(order) - 0.2))
    bound.set_xlim(left=left)
    bound.set_title(f"After {numbers['budget']:,} evaluations of f")
    work.set(xscale="log", xlabel="variance x milliseconds, encoder")
    work.set_title("On one checkpoint")
    handles = [
        work.plot([], [], "o", color=COLOURS[0], label="unbiased")[0],
        work.plot([], [], "o", color=COLOURS[1], label="biased")[0],
        work.plot([], [], "s", color=QUIET, label="categorical latents")[0],
    ]
    whole.legend(handles=handles, loc="outside lower center", ncols=3)
    return whole


def _left_edge(elbo: list[float]) -> float:
    # What took so few steps that it has hardly begun would squeeze all others together.
    best, least = max(elbo), sorted(elbo)[len(elbo) // 10]
    return min(elbo) - 1.0 if min(elbo) > best - 2 * (best - least) else least - 0.1 * (best - least)


EXPERIMENT = Experiment(
    name="discrete_baseline",
    question="How do all estimators of discrete latents compare on one model?",
    answer=answer,
    short=f"{BUDGETS['short']:,} evaluations, {NUM_SEEDS} seeds",
    full=f"{BUDGETS['full']:,} evaluations, {NUM_SEEDS} seeds",
)

if __name__ == "__main__":
    raise SystemExit(EXPERIMENT.main())
