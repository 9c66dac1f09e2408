"""Why does backpropagation stop at a sample, and what does the trick gain over the score function?

    python -m experiments.why_the_trick

Both have the mean 2 theta. One draw of the score function z^2 (z - theta) has the variance theta^4 + 14 theta^2 + 15;
one draw of the pathwise derivative 2 (theta + eps) has the variance 4, whatever theta is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from experiments.drawn_graphs import PATHWISE, SCORE, draw_graphs
from experiments.presenting import Experiment, Findings, Setting, rounded
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from torch import Tensor

from reparam_suite.estimators import GradientEstimator, Pathwise, ScoreFunction
from reparam_suite.figures import INK, WIDTH, styled
from reparam_suite.problems import ToyGaussian
from reparam_suite.runtime.random_streams import forked_generator

PROBLEM = ToyGaussian()
THETA = PROBLEM.phi.item()
NUM_DRAWS = 1_000_000
SEED = 0


@dataclass(frozen=True)
class Estimator:
    """One draw of a gradient estimator, many times over, and the variance it should have."""

    name: str
    formula: str
    colour: str
    gradients: Tensor
    exact_variance: float

    @property
    def moments(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Mean and variance of the draws, each with its standard error."""
        mean, variance = self.gradients.mean(), self.gradients.var()
        squares = (self.gradients - mean).square()
        errors = (self.gradients.std() / NUM_DRAWS**0.5, squares.std() / NUM_DRAWS**0.5)
        return (mean.item(), errors[0].item()), (variance.item(), errors[1].item())

    def wrong_sign(self) -> float:
        """The share of draws that point away from the exact gradient 2 theta."""
        return (self.gradients * THETA < 0).double().mean().item()


def estimators() -> tuple[Estimator, Estimator]:
    """Both estimators at the same draws of z."""
    score, pathwise = draws(ScoreFunction()), draws(Pathwise())
    return (
        Estimator("score function", r"$z^2\,(z-\theta)$", SCORE, score, PROBLEM.variance_of_score_function()),
        Estimator("pathwise", r"$2\,(\theta+\varepsilon)$", PATHWISE, pathwise, PROBLEM.variance_of_pathwise()),
    )


def draws(estimator: GradientEstimator) -> Tensor:
    """Independent one-sample gradients by theta, [NUM_DRAWS]."""
    mean = PROBLEM.phi.expand(NUM_DRAWS, -1).clone().requires_grad_()
    with forked_generator(mean.device, SEED):
        objective = estimator(PROBLEM.expectation(mean, PROBLEM.theta)).objective
    return torch.autograd.grad(objective.sum(), mean)[0].squeeze(-1)


@styled
def figure(shown: tuple[Estimator, ...]) -> Figure:
    """Left, the graph without and with the trick; right, what one draw of each gradient is worth."""
    whole = Figure(figsize=(WIDTH, 4.1), layout=ConstrainedLayoutEngine(wspace=0.06))
    graph, density = whole.subplots(1, 2, width_ratios=[1, 1.1])
    draw_graphs(graph)
    draw_densities(density, shown)
    return whole


def draw_densities(ax: Axes, shown: tuple[Estimator, ...]) -> None:
    """Densities over a range that holds all but the outermost draws, whose share stands beneath."""
    edges = np.linspace(-12, 36, 97)
    outside = []
    for height, estimator in zip((0.46, 0.72), shown, strict=True):
        draws = estimator.gradients.numpy()
        counts, _ = np.histogram(draws, edges)
        outside.append(1 - counts.sum() / len(draws))
        density = counts / len(draws) / np.diff(edges)
        ax.stairs(density, edges, fill=True, color=estimator.colour, alpha=0.22, linewidth=0)
        ax.stairs(density, edges, color=estimator.colour, linewidth=1.3)
        lines = [
            f"variance {estimator.gradients.var():.1f} (exact {estimator.exact_variance:g})",
            f"wrong sign: {estimator.wrong_sign():.0%} of draws",
        ]
        ax.text(
            *(0.47, height),
            f"{estimator.name}  {estimator.formula}",
            transform=ax.transAxes,
            color=estimator.colour,
            weight="bold",
        )
        ax.text(0.47, height - 0.03, "\n".join(lines), transform=ax.transAxes, color=INK, va="top", linespacing=1.5)
    ax.grid(visible=False)
    ax.axvline(2 * THETA, color=INK, linewidth=1, linestyle=(0, (4, 2)))
    ax.text(2 * THETA + 1, 0.94, rf"exact gradient $2\theta$ = {2 * THETA:g}", transform=ax.get_xaxis_transform())
    ax.set(
        xlim=(edges[0], edges[-1]),
        ylim=(0, None),
        ylabel="density",
        xlabel=f"gradient estimated from one draw\n(range holds all but {max(outside):.1%} of the score function's)",
    )
    ax.set_title(rf"Both estimate the gradient of $\mathbb{{E}}[z^2]$ at $\theta$ = {THETA:g}")


def answer(setting: Setting) -> Findings:  # noqa: ARG001 - there is one
    """Both estimators' moments beside the exact ones, and how often they point the wrong way."""
    shown = estimators()
    numbers = {"theta": THETA, "exact_gradient": 2 * THETA, "draws": NUM_DRAWS}
    rows = []
    for road in shown:
        (mean, error), (variance, error_of_variance) = road.moments
        numbers[road.name.replace(" ", "_")] = {
            "mean": rounded(mean),
            "standard_error": rounded(error, 2),
            "variance": rounded(variance),
            "standard_error_of_variance": rounded(error_of_variance, 2),
            "exact_variance": road.exact_variance,
            "share_of_wrong_sign": rounded(road.wrong_sign(), 3),
        }
        found = f"{mean:.3f} ± {error:.3f}", f"{variance:.2f} ± {error_of_variance:.2f}"
        rows.append([road.name, *found, f"{road.exact_variance:g}", f"{road.wrong_sign():.1%}"])
    columns = ("one draw", "mean", "variance", "exact", "wrong sign")
    return Findings(numbers, columns, rows, figure(shown))


EXPERIMENT = Experiment(
    name="why_the_trick",
    question="Why does backpropagation stop at a sample, and what does the trick gain over the score function?",
    answer=answer,
    short=f"{NUM_DRAWS:,} draws",
)

if __name__ == "__main__":
    raise SystemExit(EXPERIMENT.main())
