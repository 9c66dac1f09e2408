"""Cost of the two roads to the gradient of E_{N(theta, 1)}[x^2], exactly and by Monte Carlo.

    python -m experiments.toy_gaussian

With x = theta + eps, both have the mean 2 theta. The moments of eps are 1, 3 and 15 at the even orders 2, 4 and 6, so

    score function     x^2 (x - theta)          variance  theta^4 + 14 theta^2 + 15
    best baseline      (x^2 - b)(x - theta)     variance  8 theta^2 + 6     at b = E[x^2 eps^2] / E[eps^2] = theta^2 + 3
    pathwise           2 (theta + eps)          variance  4
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from experiments.presenting import Experiment, Findings, Setting, rounded
from matplotlib.figure import Figure
from rich.progress import track
from torch import Tensor

from reparam_suite.distributions import normal
from reparam_suite.estimators import Expectation, GradientEstimator, Pathwise, ScoreFunction
from reparam_suite.figures import COLOURS, QUIET, WIDTH, styled
from reparam_suite.runtime.random_streams import forked_generator

THETA = 2.0
SAMPLES = (10, 100, 1_000, 10_000, 100_000)
NUM_REPEATS = 400
NUM_CHAINS, NUM_STEPS, LEARNING_RATE = 2_000, 60, 0.02
SEED = 0
ROADS = ("score function", "best baseline", "pathwise")
COLOUR = dict(zip(ROADS, (COLOURS[1], COLOURS[4], COLOURS[0]), strict=True))
LARGEST = 4_000_000
"""Draws that are held at a time."""


def exact_variance(road: str, theta: float) -> float:
    """The variance of one draw."""
    return {
        "score function": theta**4 + 14 * theta**2 + 15,
        "best baseline": 8 * theta**2 + 6,
        "pathwise": 4.0,
    }[road]


def gradients(road: str, theta: Tensor) -> Tensor:
    """One draw of the gradient of E[x^2] at each theta, `[N]`."""
    mean = theta.detach().unsqueeze(-1).requires_grad_()  # [N, 1]: one latent
    baseline = theta.square() + 3.0 if road == "best baseline" else torch.zeros_like(theta)
    estimator: GradientEstimator = Pathwise() if road == "pathwise" else ScoreFunction()
    target = Expectation(q=normal(mean, torch.ones_like(mean)), f=lambda z, _: z.squeeze(-1).square() - baseline)
    return torch.autograd.grad(estimator(target).objective.sum(), mean)[0].squeeze(-1)


def monte_carlo(road: str, num_samples: int) -> dict[str, float]:
    """The mean of the estimates from `num_samples` draws, their variance, its standard error, and its exact value."""
    per_chunk = max(1, LARGEST // num_samples)
    estimates = []
    for first in range(0, NUM_REPEATS, per_chunk):
        repeats = min(per_chunk, NUM_REPEATS - first)
        theta = torch.full((repeats * num_samples,), THETA, dtype=torch.float64)
        estimates.append(gradients(road, theta).reshape(repeats, num_samples).mean(1))
    means = torch.cat(estimates)
    deviations = (means - means.mean()).square()
    return {
        "mean": rounded(means.mean().item(), 5),
        "variance": rounded(means.var().item()),
        "standard_error": rounded((deviations.std() / len(means) ** 0.5).item(), 2),
        "exact_variance": rounded(exact_variance(road, THETA) / num_samples),
    }


def descent(road: str) -> Tensor:
    """theta along stochastic descent from THETA, one draw per step: `[NUM_STEPS + 1, NUM_CHAINS]`."""
    path = [torch.full((NUM_CHAINS,), THETA, dtype=torch.float64)]
    for _ in range(NUM_STEPS):
        path.append(path[-1] - LEARNING_RATE * gradients(road, path[-1]))
    return torch.stack(path)


def answer(setting: Setting) -> Findings:  # noqa: ARG001 - there is one
    """All three roads, against the exact variances; then the descent."""
    numbers: dict[str, Any] = {"theta": THETA, "exact_gradient": 2 * THETA, "repeats": NUM_REPEATS}
    paths = {}
    with forked_generator(torch.device("cpu"), SEED):
        for road in ROADS:
            numbers[_key(road)] = {"exact_variance": exact_variance(road, THETA)}
            for num_samples in track(SAMPLES, description=f"{road:<15}", transient=True):
                numbers[_key(road)][str(num_samples)] = monte_carlo(road, num_samples)
            paths[road] = descent(road)
            spread = paths[road][-1].square().mean().sqrt().item()
            numbers[_key(road)]["root_mean_square_theta_at_the_end"] = rounded(spread, 3)
    numbers["ratio_of_variances"] = rounded(exact_variance("score function", THETA) / exact_variance("pathwise", THETA))
    columns = ["N x variance", *(f"{road}: {exact_variance(road, THETA):g}" for road in ROADS)]
    rows = [[f"N = {n:,}", *(_cell(n, numbers[_key(road)][str(n)]) for road in ROADS)] for n in SAMPLES]
    return Findings(numbers, columns, rows, figure(numbers, paths))


def _key(road: str) -> str:
    return road.replace(" ", "_")


def _cell(num_samples: int, found: dict[str, float]) -> str:
    return f"{num_samples * found['variance']:.3g} ± {num_samples * found['standard_error']:.1g}"


@styled
def figure(numbers: dict[str, Any], paths: dict[str, Tensor]) -> Figure:
    """Left, variance against samples; middle, variance against theta; right, the descent."""
    whole = Figure(figsize=(WIDTH * 1.35, 3.3))
    monte, along, down = whole.subplots(1, 3)
    thetas = np.linspace(0, 3, 61)
    for road in ROADS:
        found, colour = numbers[_key(road)], COLOUR[road]
        variances = [found[str(n)]["variance"] for n in SAMPLES]
        errors = [2 * found[str(n)]["standard_error"] for n in SAMPLES]
        monte.plot(SAMPLES, [exact_variance(road, THETA) / n for n in SAMPLES], color=colour, linewidth=1)
        monte.errorbar(SAMPLES, variances, yerr=errors, fmt="o", color=colour, markersize=4)
        along.plot(thetas, [exact_variance(road, theta) for theta in thetas], color=colour)
        low, high = paths[road].quantile(torch.tensor([0.05, 0.95], dtype=torch.float64), dim=1)
        down.fill_between(range(NUM_STEPS + 1), low, high, color=colour, alpha=0.18, linewidth=0)
        down.plot(paths[road].mean(1), color=colour)
    monte.set(xscale="log", yscale="log", xlabel="samples N", ylabel="variance of the estimate")
    monte.set_title("θ = 2: exact lines, measured dots")
    along.set(yscale="log", ylim=(3, 400), xlabel="θ", ylabel="variance of one draw")
    along.set_title("Of one draw, exact")
    for road in ROADS:
        along.text(1.3, 1.1 * exact_variance(road, 1.4), road, color=COLOUR[road], ha="right")
    down.axhline(0, color=QUIET, linewidth=0.8)
    down.set(xlabel="step", ylabel="θ")
    down.set_title("Descent from θ = 2: mean and 90 %")
    return whole


EXPERIMENT = Experiment(
    name="toy_gaussian",
    question="What do the two roads to the gradient of E[x²] under N(θ, 1) cost?",
    answer=answer,
    short=f"{NUM_REPEATS} repeats of up to {SAMPLES[-1]:,} samples",
)

if __name__ == "__main__":
    raise SystemExit(EXPERIMENT.main())
