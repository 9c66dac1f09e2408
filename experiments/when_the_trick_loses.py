"""Is the pathwise gradient always the better one? No: it follows f', and f' may be large where f is small.

    python -m experiments.when_the_trick_loses

One draw of d/dtheta E_{N(theta, 1)}[f(z)], with z = theta + eps:

    pathwise           f'(z)             variance  E[f'(z)^2] - g^2
    score function     f(z) eps          variance  E[f(z)^2 eps^2] - g^2
    with a baseline    (f(z) - b) eps    at the best constant b = E[f(z) eps^2]

where g = E[f'(z)] = E[f(z) eps] is the gradient that all three estimate. The expectations are integrals over one
normal, taken by the trapezoidal rule, whose error falls faster than any power of the step for such integrands; sampling
is the check: `z` is the difference of the sampled variance from the exact one in standard errors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import numpy.typing as npt
import torch
from experiments.presenting import Experiment, Findings, Setting, rounded
from matplotlib.figure import Figure
from torch import Tensor

from reparam_suite.distributions import normal
from reparam_suite.estimators import Expectation, GradientEstimator, Pathwise, ScoreFunction
from reparam_suite.figures import COLOURS, INK, WIDTH, styled
from reparam_suite.runtime.random_streams import forked_generator

Array = npt.NDArray[np.float64]

NODES = np.linspace(-12.0, 12.0, 4_801)
MASS = np.exp(-0.5 * NODES**2) / np.sqrt(2 * np.pi) * (NODES[1] - NODES[0])
THETAS = np.linspace(-3.0, 3.0, 121)
SHOWN = (0.5, 1.5)
NUM_DRAWS, SEED = 400_000, 0
ROADS = ("score function", "best baseline", "pathwise")
COLOUR = dict(zip(ROADS, (COLOURS[1], COLOURS[4], COLOURS[0]), strict=True))


@final
@dataclass(frozen=True)
class Cost:
    """A function of one latent, with its derivative."""

    key: str
    name: str
    f: Callable[[Any], Any]
    derivative: Callable[[Array], Array]


COSTS = (
    Cost("square", "x²", lambda z: z**2, lambda z: 2 * z),
    Cost("cosine", "cos(5x)", lambda z: _of(z).cos(5 * z), lambda z: -5 * np.sin(5 * z)),
    Cost("bump", "exp(-10x²)", lambda z: _of(z).exp(-10 * z**2), lambda z: -20 * z * np.exp(-10 * z**2)),
)


def _of(z: Any) -> Any:
    return torch if isinstance(z, Tensor) else np


def exact_variances(cost: Cost, theta: float) -> dict[str, float]:
    """The variance of one draw along each road, and the gradient itself, by quadrature."""
    z = theta + NODES
    f, slope = cost.f(z), cost.derivative(z)
    gradient = (MASS * slope).sum()
    baseline = (MASS * f * NODES**2).sum()
    return {
        "gradient": gradient,
        "score function": (MASS * (f * NODES) ** 2).sum() - gradient**2,
        "best baseline": (MASS * ((f - baseline) * NODES) ** 2).sum() - gradient**2,
        "pathwise": (MASS * slope**2).sum() - gradient**2,
        "baseline": baseline,
    }


def sampled_variance(cost: Cost, road: str, theta: float, baseline: float) -> tuple[float, float]:
    """The same by NUM_DRAWS draws of the library's estimators, and the standard error."""
    mean = torch.full((NUM_DRAWS, 1), theta, dtype=torch.float64, requires_grad=True)
    estimator: GradientEstimator = Pathwise() if road == "pathwise" else ScoreFunction()
    shift = baseline if road == "best baseline" else 0.0
    target = Expectation(q=normal(mean, torch.ones_like(mean)), f=lambda z, _: cost.f(z.squeeze(-1)) - shift)
    drawn = torch.autograd.grad(estimator(target).objective.sum(), mean)[0]
    squares = (drawn - drawn.mean()).square()
    return squares.mean().item(), (squares.std() / NUM_DRAWS**0.5).item()


def answer(setting: Setting) -> Findings:  # noqa: ARG001 - there is one
    """Variances of three cost functions, exact and sampled."""
    numbers: dict[str, Any] = {"draws": NUM_DRAWS}
    rows = []
    with forked_generator(torch.device("cpu"), SEED):
        for cost in COSTS:
            for theta in SHOWN:
                exact = exact_variances(cost, theta)
                found = {road: sampled_variance(cost, road, theta, exact["baseline"]) for road in ROADS}
                key = f"{cost.key}_{theta:g}"
                numbers[key] = {
                    road.replace(" ", "_"): {
                        "exact": rounded(exact[road]),
                        "sampled": rounded(found[road][0]),
                        "standard_error": rounded(found[road][1], 2),
                    }
                    for road in ROADS
                }
                numbers[key]["pathwise_over_score_function"] = rounded(exact["pathwise"] / exact["score function"], 3)
                off = {road: (value - exact[road]) / error for road, (value, error) in found.items()}
                cells = [cell for road in ROADS for cell in (f"{exact[road]:.3g}", f"{off[road]:+.1f}")]
                rows.append([cost.name, f"{theta:g}", *cells])
    columns = ("f", "θ", "score", "score z", "baseline", "baseline z", "pathwise", "pathwise z")
    return Findings(numbers, columns, rows, figure())


@styled
def figure() -> Figure:
    """Above, the cost functions under q at theta = 0.5; below, exact variance of one draw against theta."""
    whole = Figure(figsize=(WIDTH * 1.35, 4.6))
    axes = whole.subplots(2, len(COSTS), height_ratios=[1, 2], sharex=True)
    for column, cost in enumerate(COSTS):
        above, below = axes[:, column]
        fine = np.linspace(-3, 3, 601)
        above.plot(fine, cost.f(fine), color=INK)
        above.set_title(f"f(x) = {cost.name}")
        found = [exact_variances(cost, theta) for theta in THETAS]
        for road in ROADS:
            below.plot(THETAS, [of_seed[road] for of_seed in found], color=COLOUR[road], label=road)
        below.set(yscale="log", xlabel="θ")
        if column == 0:
            above.set_ylabel("f")
            below.set_ylabel("variance of one draw")
    whole.legend(*axes[1, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return whole


EXPERIMENT = Experiment(
    name="when_the_trick_loses",
    question="For which f is the pathwise gradient the worse one?",
    answer=answer,
    short=f"quadrature on {len(NODES):,} nodes, checked by {NUM_DRAWS:,} draws",
)

if __name__ == "__main__":
    raise SystemExit(EXPERIMENT.main())
