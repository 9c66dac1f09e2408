"""Why the reparameterization trick: two gradients of E[z^2] under N(theta, 1), and how much each one varies.

    python experiments/why_the_trick.py --output docs/figures/why_the_trick.png

Both have the mean 2 theta. One draw of the score function z^2 (z - theta) has the variance theta^4 + 14 theta^2 + 15;
one draw of the pathwise derivative 2 (theta + eps) has the variance 4, whatever theta is.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from torch import Tensor

from reparam_suite.estimators import GradientEstimator, Pathwise, ScoreFunction
from reparam_suite.figures import COLOURS, WIDTH, styled
from reparam_suite.problems import ToyGaussian
from reparam_suite.randomness import forked_generator

PROBLEM = ToyGaussian()
THETA = PROBLEM.phi.item()
NUM_DRAWS = 1_000_000
SEED = 0
PATHWISE, SCORE = COLOURS[0], COLOURS[1]
INK, QUIET = "#333333", "#8c8c8c"
NODE = 30
"""Points across a node of the diagram."""


@dataclass(frozen=True)
class Estimator:
    """One draw of a gradient estimator, many times over, and the variance it should have."""

    name: str
    formula: str
    colour: str
    gradients: Tensor
    exact_variance: float

    def wrong_sign(self) -> float:
        """The share of draws that point away from the exact gradient 2 theta."""
        return (self.gradients * THETA < 0).double().mean().item()

    def describe(self) -> str:
        """Measured moments beside the exact ones."""
        return (
            f"{self.name:<15} mean {self.gradients.mean():7.3f} (exact {2 * THETA:g})   "
            f"variance {self.gradients.var():7.3f} (exact {self.exact_variance:g})   "
            f"wrong sign {self.wrong_sign():6.2%}"
        )


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


def draw_graphs(ax: Axes) -> None:
    """The random node, which stops the gradient, above the reparameterized one, which lets it pass."""
    ax.set(xlim=(0, 10), ylim=(0, 10))
    ax.axis("off")
    ax.set_title("Where the gradient stops, and how it passes")
    left, middle, right = 1.0, 5.0, 9.0
    here, there = (left + middle) / 2, (middle + right) / 2

    row = 7.9
    ax.text(0.25, 9.7, "z is drawn at random", color=SCORE, weight="bold", va="center")
    ax.text(middle, row + 0.95, r"$z\sim\mathcal{N}(\theta,1)$", ha="center")
    ax.text(right, row + 0.95, "$f(z)$", ha="center")
    arrow(ax, (left, row), (middle, row), INK)
    arrow(ax, (middle, row), (right, row), INK)
    arrow(ax, (right, row), (middle, row), SCORE, bend=-0.35)
    arrow(ax, (middle, row), (left, row), QUIET, bend=-0.35, dashed=True)
    ax.plot(here, row - 0.66, "X", color=SCORE, markersize=10, markeredgecolor="white", zorder=5)
    ax.text(here, row - 1.1, r"no $\partial z/\partial\theta$", ha="center", va="top")
    ax.text(there, row - 1.1, r"$\partial f/\partial z=2z$", ha="center", va="top")
    node(ax, (left, row), r"$\theta$")
    node(ax, (middle, row), "$z$", fill=SCORE)
    node(ax, (right, row), "$z^2$")

    row, noise = 2.35, 4.45
    ax.text(0.25, 5.3, "z is computed\nfrom noise", color=PATHWISE, weight="bold", va="top", linespacing=1.3)
    ax.text(middle + 0.85, noise, r"$\varepsilon\sim\mathcal{N}(0,1)$", va="center")
    ax.text(middle + 0.25, (row + noise) / 2 + 0.1, r"$z=\theta+\varepsilon$", va="center")
    ax.text(right, row + 0.95, "$f(z)$", ha="center")
    arrow(ax, (left, row), (middle, row), INK)
    arrow(ax, (middle, row), (right, row), INK)
    arrow(ax, (middle, noise), (middle, row), INK)
    arrow(ax, (right, row), (middle, row), PATHWISE, bend=-0.35)
    arrow(ax, (middle, row), (left, row), PATHWISE, bend=-0.35)
    ax.text(here, row - 1.1, r"$\partial z/\partial\theta=1$", ha="center", va="top")
    ax.text(there, row - 1.1, r"$\partial f/\partial z=2z$", ha="center", va="top")
    node(ax, (left, row), r"$\theta$")
    node(ax, (middle, row), "$z$")
    node(ax, (right, row), "$z^2$")
    node(ax, (middle, noise), r"$\varepsilon$", fill=SCORE)

    key = "straight: values    curved: gradients    filled: random"
    ax.text(middle, 0.1, key, ha="center", va="center", fontsize=8, color="#595959")


def node(ax: Axes, at: tuple[float, float], text: str, fill: str | None = None) -> None:
    """A circle; filled where its value is random."""
    ax.plot(
        *at, "o", markersize=NODE, markerfacecolor=fill or "white", markeredgecolor=fill or INK, markeredgewidth=1.2
    )
    ax.text(*at, text, ha="center", va="center_baseline", color="white" if fill else INK, fontsize=12, zorder=4)


def arrow(
    ax: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    colour: str,
    *,
    bend: float = 0.0,
    dashed: bool = False,
) -> None:
    """From the rim of one node to the rim of another."""
    style = {
        "arrowstyle": "-|>,head_length=0.5,head_width=0.22",
        "connectionstyle": f"arc3,rad={bend}",
        "linestyle": (0, (3, 2)) if dashed else "-",
        "color": colour,
        "linewidth": 1.4 if bend else 1.1,
        "shrinkA": NODE / 2 + 2,
        "shrinkB": NODE / 2 + 2,
    }
    ax.annotate("", xy=end, xytext=start, arrowprops=style)


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


def main() -> None:
    """Print both estimators' moments and write the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("docs/figures/why_the_trick.png"), help="the PNG to write")
    output: Path = parser.parse_args().output
    shown = estimators()
    for estimator in shown:
        print(estimator.describe())
    output.parent.mkdir(parents=True, exist_ok=True)
    figure(shown).savefig(output)
    print(f"wrote {output}")


if __name__ == "__main__":
    main()
