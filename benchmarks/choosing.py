"""The decision chart of docs/choosing.md: docs/measured/choosing.png and choosing.md, from measurements on record.

    python -m benchmarks.choosing

Nothing is measured here. Variance, time and evaluations come from docs/measured/estimators.json; the bounds that
trainings reached come from the experiments `vae_on_digits` (normal latents) and `discrete_baseline` (discrete ones). A
leaf of the chart has the estimators that its answers allow: those with the smallest variance x ms, where the
gradient is unbiased, and those that reached the largest bounds.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from benchmarks.catalogue import entries
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reparam_suite.estimators import GradientEstimator
from reparam_suite.figures import COLOURS, QUIET, WIDTH, styled

FOLDER = Path(__file__).parents[1] / "docs" / "measured"
PAGE, CHART = FOLDER / "choosing.md", FOLDER / "choosing.png"
MOST_BY_PRODUCT, MOST_BY_BOUND = 4, 2
LARGEST_RATIO = 20.0
"""Of variance x ms to the smallest of the leaf, for estimators that are listed because of it."""

_GAP = 1.6
_LEVELS = (0.0, 1.25, 2.8)
_ANY_F, _NEEDS_DERIVATIVE = COLOURS[0], COLOURS[1]


@final
@dataclass(frozen=True)
class Leaf:
    """One way through the chart.

    Args:
        answers: to the three questions: latents, bound, what is required of f or of the gradient.
        rows: the checkpoint in estimators.json.
        trained: the experiment with bounds, and what its `latents` end with; None where there is none.
        allows: whether the answers allow an estimator.
        by_bound: whether bounds alone decide, since a biased gradient may have a small variance and be wrong.
    """

    answers: tuple[str, str, str]
    rows: str
    trained: tuple[str, str] | None
    allows: Callable[[GradientEstimator], bool]
    by_bound: bool = False


def _unbiased(estimator: GradientEstimator) -> bool:
    return estimator.unbiased


def _of_black_box(estimator: GradientEstimator) -> bool:
    return estimator.unbiased and not estimator.differentiates_f


def _biased(estimator: GradientEstimator) -> bool:
    return not estimator.unbiased and estimator.differentiates_f


LEAVES = (
    Leaf(("normal", "ELBO", "f is differentiable"), "normal", ("vae_on_digits", ""), _unbiased),
    Leaf(("normal", "ELBO", "f is a black box"), "normal", ("vae_on_digits", ""), _of_black_box),
    Leaf(("normal", "importance-\nweighted", "f is differentiable"), "normal_importance", None, _unbiased),
    Leaf(("normal", "importance-\nweighted", "f is a black box"), "normal_importance", None, _of_black_box),
    Leaf(("bits", "ELBO", "unbiased"), "bernoulli", ("discrete_baseline", "bits"), _unbiased),
    Leaf(("bits", "ELBO", "a bias is accepted"), "bernoulli", ("discrete_baseline", "bits"), _biased, by_bound=True),
    Leaf(("bits", "importance-\nweighted", "unbiased"), "bernoulli_importance", None, _unbiased),
    Leaf(("categorical", "ELBO", "unbiased"), "categorical", ("discrete_baseline", "classes"), _unbiased),
)


@final
@dataclass(frozen=True)
class Candidate:
    """An estimator in a leaf.

    Attributes:
        name: as the tables list it.
        product: variance of the encoder's gradient times milliseconds per gradient.
        evaluations: of f per datum.
        needs_derivative: of f with respect to z.
        unbiased: its gradient.
        bound: nats that a training reached; None where none is on record.
    """

    name: str
    product: float
    evaluations: int
    needs_derivative: bool
    unbiased: bool
    bound: float | None


@final
@dataclass(frozen=True)
class Branch:
    """A leaf with its estimators.

    Attributes:
        leaf: its answers.
        candidates: by variance x ms, the smallest first; where bounds decide, the largest first.
        exact: the estimators without noise, with the latents that they were measured on, and their evaluations.
    """

    leaf: Leaf
    candidates: tuple[Candidate, ...]
    exact: tuple[tuple[str, int], ...]


def branches() -> list[Branch]:
    """The leaves with their estimators, from the files of measurements."""
    measured = json.loads((FOLDER / "estimators.json").read_text(encoding="utf-8"))["rows"]
    return [_branch(leaf, measured[leaf.rows]) for leaf in LEAVES]


def _branch(leaf: Leaf, rows: Mapping[str, Any]) -> Branch:
    bounds = {} if leaf.trained is None else _bounds(*leaf.trained)
    allowed = {entry.name: entry.at_defaults for entry in entries() if entry.name in rows}
    allowed = {name: estimator for name, estimator in allowed.items() if leaf.allows(estimator)}
    exact = tuple(
        (f"{name}, {rows[name]['latents']}", rows[name]["evaluations"])
        for name, each in allowed.items()
        if each.noiseless
    )
    found = [
        Candidate(
            name=name,
            product=rows[name]["encoder"]["variance"] * rows[name]["ms"],
            evaluations=rows[name]["evaluations"],
            needs_derivative=each.differentiates_f,
            unbiased=each.unbiased,
            bound=bounds.get(name),
        )
        for name, each in allowed.items()
        if not each.noiseless
    ]
    return Branch(leaf, tuple(_chosen(leaf, found)), exact)


def _chosen(leaf: Leaf, found: Sequence[Candidate]) -> list[Candidate]:
    by_bound = sorted((each for each in found if each.bound is not None), key=lambda each: -(each.bound or 0.0))
    if leaf.by_bound:
        return by_bound[:MOST_BY_PRODUCT]
    by_product = sorted(found, key=lambda each: each.product)
    near = [each for each in by_product if each.product <= LARGEST_RATIO * by_product[0].product]
    chosen = {*near[:MOST_BY_PRODUCT], *by_bound[:MOST_BY_BOUND]}
    return [each for each in by_product if each in chosen]


def _bounds(experiment: str, latents: str) -> dict[str, float]:
    """The mean bound that trainings of an experiment reached, by estimator."""
    content = json.loads((FOLDER / "experiments" / f"{experiment}.json").read_text(encoding="utf-8"))
    return {
        name.replace("ScoreFunction_", "ScoreFunction, "): number["elbo"]
        for name, number in content["numbers"].items()
        if isinstance(number, dict) and number.get("latents", "").endswith(latents)
    }


def table(found: Sequence[Branch]) -> str:
    """The chart as a table in Markdown."""
    header = ("latents", "bound", "f, gradient", "estimator", "variance x ms", "evaluations", "f", "bound reached")
    lines = [header, ("---",) * 4 + ("---:", "---:", "---", "---:")]
    for branch in found:
        answers = [answer.replace("-\n", "-") for answer in branch.leaf.answers]
        lines += [(*answers, *_cells(candidate)) for candidate in branch.candidates]
        lines += [(*answers, name, "0", str(evaluations), "-", "-") for name, evaluations in branch.exact]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _cells(candidate: Candidate) -> tuple[str, ...]:
    return (
        f"`{candidate.name}`",
        f"{candidate.product:.3g}",
        str(candidate.evaluations),
        "differentiable" if candidate.needs_derivative else "any",
        _bound(candidate),
    )


def _bound(candidate: Candidate) -> str:
    return "-" if candidate.bound is None else f"{candidate.bound:.2f}"


def digest(page: str) -> str:
    """A short digest of the table, which the picture carries so that a test sees whether it is of this table."""
    return hashlib.sha256(page.encode()).hexdigest()[:16]


@styled
def figure(found: Sequence[Branch]) -> Figure:
    """The questions at the left, a dot for each estimator at the right."""
    positions, y = [], 0.0
    for branch in found:
        positions.append([y + row for row in range(len(branch.candidates) + len(branch.exact))])
        y = positions[-1][-1] + _GAP
    whole = Figure(figsize=(WIDTH * 1.1, 0.2 * y + 0.9))
    tree, dots = whole.subplots(1, 2, sharey=True, width_ratios=(1.0, 0.8))
    _draw_questions(tree, found, [sum(rows) / len(rows) for rows in positions])
    _draw_candidates(dots, found, positions)
    dots.set_ylim(y - _GAP + 0.8, -1.6)
    return whole


def _draw_questions(ax: Axes, found: Sequence[Branch], centres: Sequence[float]) -> None:
    ax.set_axis_off()
    ax.set_xlim(-0.5, 5.0)
    for x, question in zip(_LEVELS, ("latents", "bound", "f, gradient"), strict=True):
        ax.text(x, -1.3, question, ha="center", va="center", color=QUIET, fontsize=8)
    nodes: dict[tuple[str, ...], list[float]] = {}
    for branch, centre in zip(found, centres, strict=True):
        for depth in range(1, 4):
            nodes.setdefault(branch.leaf.answers[:depth], []).append(centre)
    heights = {path: sum(several) / len(several) for path, several in nodes.items()}
    for path, height in heights.items():
        x = _LEVELS[len(path) - 1]
        if len(path) > 1:
            before = _LEVELS[len(path) - 2]
            ax.plot([before, x], [heights[path[:-1]], height], color=QUIET, linewidth=0.8, zorder=1)
        box = {"boxstyle": "round,pad=0.3", "facecolor": "white", "edgecolor": QUIET, "linewidth": 0.8}
        ax.text(x, height, path[-1], ha="center", va="center", fontsize=8, bbox=box, zorder=2)


def _draw_candidates(ax: Axes, found: Sequence[Branch], positions: Sequence[Sequence[float]]) -> None:
    for branch, rows in zip(found, positions, strict=True):
        for candidate, y in zip(branch.candidates, rows, strict=False):
            colour = _NEEDS_DERIVATIVE if candidate.needs_derivative else _ANY_F
            filled = colour if candidate.unbiased else "white"
            ax.plot(candidate.product, y, "o", color=colour, markerfacecolor=filled, markersize=5.5)
            _beside(ax, y, candidate.name, str(candidate.evaluations), _bound(candidate))
        for (name, evaluations), y in zip(branch.exact, rows[len(branch.candidates) :], strict=True):
            _beside(ax, y, name, str(evaluations), "-")
            ax.text(0.02, y, "exact", va="center", fontsize=7.5, color=QUIET, transform=ax.get_yaxis_transform())
        ax.axhline(rows[-1] + _GAP / 2, color="#ececec", linewidth=0.8)
    _beside(ax, -1.3, "estimator", "evaluations", "bound", color=QUIET)
    for colour, label in ((_ANY_F, "any f"), (_NEEDS_DERIVATIVE, "f is differentiated")):
        ax.plot([], [], "o", color=colour, markersize=5.5, label=label)
    ax.plot([], [], "o", color=QUIET, markerfacecolor="white", markersize=5.5, label="biased")
    ax.set(xscale="log", xlabel="variance x ms, encoder (left is better)", yticks=[])
    ax.spines["left"].set_visible(False)
    ax.grid(visible=False, axis="y")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.06), ncols=3, fontsize=8, handletextpad=0.2)


def _beside(ax: Axes, y: float, name: str, evaluations: str, bound: str, color: str | None = None) -> None:
    style = {"va": "center", "fontsize": 7.5, "transform": ax.get_yaxis_transform()} | (
        {"color": color} if color else {}
    )
    ax.text(-0.03, y, name, ha="right", **style)
    ax.text(1.14, y, evaluations, ha="right", **style)
    ax.text(1.42, y, bound, ha="right", **style)


def main() -> None:
    """Writes the table and the chart."""
    found = branches()
    page = table(found)
    PAGE.write_text(page, encoding="utf-8")
    figure(found).savefig(CHART, metadata={"Source": digest(page)})
    print(f"{PAGE}\n{CHART}")


if __name__ == "__main__":
    main()
