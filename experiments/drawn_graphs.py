"""The computation graph with a random node in it, and the same graph reparameterized."""

from __future__ import annotations

from matplotlib.axes import Axes

from reparam_suite.figures import COLOURS, INK, QUIET

PATHWISE, SCORE = COLOURS[0], COLOURS[1]
NODE = 30
"""Points across a node of the diagram."""


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
