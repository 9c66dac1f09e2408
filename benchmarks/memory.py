"""Peak memory of a training step against K, the batch size and the number of latents, for several estimators.

    python -m benchmarks.memory [--points 4] [--only DisARM RODEO] [--figure memory.png]

A step is `training_step`, the backward pass and the optimizer's step, on VAEs of 784 pixels with two hidden layers of
200 on either side; its peak is taken above what is held between steps: weights, the optimizer's memory, the batch.
One quantity is doubled `--points` - 1 times while the others stay at K = 4 (1 for estimators that evaluate f at each
latent), batch 100 and 50 normals, 200 bits or 20 categoricals of 10 classes. On the CPU the tensors alive after each
operation are counted, on CUDA the allocator is asked: no clock is read, and other work on the machine does not matter.

In K and the batch memory has to lie on a line: the bend is the slope between the two largest sizes over that between
the two before, 1 on a line and 2 on a parabola, and must not exceed 1.1. In the latents another phase of the step may
take over the peak, and the largest of several lines bends; there, twice the latents may take twice the memory at most,
unless the parameters of q grow faster themselves.

More samples must not take more than their evaluations of f: the slope in K is given over that of f alone, forward and
backward at the same sizes, times the evaluations that a sample declares; the aim is that of benchmarks.estimators.
Estimators that pass many states without a gradient, in chunks, stay far below 1.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Literal, final

import numpy as np
import torch
from benchmarks.estimators import TARGET, TARGET_TWICE, sides
from benchmarks.measuring import OUTPUT, Findings, Listing, at_least, parser, writable
from matplotlib.figure import Figure

from reparam_suite.diagnostics.memory import peak_bytes
from reparam_suite.distributions import FactorizedCategorical, FullCovarianceNormal, frozen
from reparam_suite.estimators import (
    REBAR,
    RODEO,
    DisARM,
    GradientEstimator,
    GumbelRao,
    LeaveOneOut,
    LocalExpectation,
    MeasureValued,
    Pathwise,
    ScoreFunction,
)
from reparam_suite.figures import COLOURS, WIDTH, styled
from reparam_suite.models import VAE, DiscreteVAE, GaussianVAE
from reparam_suite.objectives import ImportanceWeighted

NUM_FEATURES, SEED = 784, 0
MOST_BEND, MOST_AT_TWICE = 1.1, 2.0
KIB, MIB = 2.0**10, 2.0**20

Quantity = Literal["num_samples", "batch_size", "latent_size"]
QUANTITIES: dict[Quantity, str] = {"num_samples": "samples K", "batch_size": "batch size", "latent_size": "latents"}


@final
@dataclass(frozen=True)
class Sizes:
    """Sizes of one step: K, B and D."""

    num_samples: int
    batch_size: int
    latent_size: int

    def along(self, quantity: Quantity, points: int) -> list["Sizes"]:
        """These, and one quantity of them doubled again and again."""
        return [replace(self, **{quantity: getattr(self, quantity) * 2**i}) for i in range(points)]


@final
@dataclass(frozen=True)
class Case:
    """An estimator on a model.

    Args:
        estimator: takes `num_samples`.
        model: takes the estimator and `latent_size`.
        usual: the sizes from which each quantity is doubled.
        factorized: whether q has a number of parameters in proportion to its latents.
    """

    estimator: Callable[..., GradientEstimator]
    model: Callable[..., VAE]
    usual: Sizes
    factorized: bool = True

    def made(self, sizes: Sizes, device: torch.device) -> tuple[VAE, torch.Tensor]:
        """The model, and a batch."""
        torch.manual_seed(SEED)
        estimator = self.estimator(num_samples=sizes.num_samples)
        model = self.model(event_shape=(NUM_FEATURES,), latent_size=sizes.latent_size, estimator=estimator)
        return model.to(device), (torch.rand(sizes.batch_size, NUM_FEATURES) < 0.2).float().to(device)


def _leave_one_out(num_samples: int) -> GradientEstimator:
    return ScoreFunction(num_samples=num_samples, baseline=LeaveOneOut())


_normals, _bits, _classes = Sizes(4, 100, 50), Sizes(4, 100, 200), Sizes(4, 100, 20)
_one = {"num_samples": 1}
_categorical = partial(DiscreteVAE, posterior=FactorizedCategorical(num_classes=10))
CASES: dict[str, Case] = {
    "Pathwise, normals": Case(Pathwise, GaussianVAE, _normals),
    "Pathwise, LogMeanExp, normals": Case(Pathwise, partial(GaussianVAE, objective=ImportanceWeighted()), _normals),
    "Pathwise, full covariance": Case(
        Pathwise, partial(GaussianVAE, posterior=FullCovarianceNormal()), _normals, factorized=False
    ),
    "MeasureValued, normals": Case(MeasureValued, GaussianVAE, replace(_normals, **_one)),
    "ScoreFunction, LeaveOneOut, bits": Case(_leave_one_out, DiscreteVAE, _bits),
    "DisARM, bits": Case(DisARM, DiscreteVAE, _bits),
    "REBAR, bits": Case(REBAR, DiscreteVAE, _bits),
    "RODEO, bits": Case(RODEO, DiscreteVAE, _bits),
    "LocalExpectation, bits": Case(LocalExpectation, DiscreteVAE, replace(_bits, **_one)),
    "ScoreFunction, LeaveOneOut, classes": Case(_leave_one_out, _categorical, _classes),
    "GumbelRao, classes": Case(GumbelRao, _categorical, _classes),
    "LocalExpectation, classes": Case(LocalExpectation, _categorical, replace(_classes, **_one)),
}


@final
@dataclass(frozen=True)
class Growth:
    """The growth of the peak with one quantity.

    Attributes:
        sizes: of the quantity, each twice the one before.
        peaks: bytes at each of them.
        slope: of the least-squares line, bytes for one more.
        intercept: of it, bytes.
        bend: the slope between the last two peaks over that between the two before.
        at_twice: the largest peak over the second largest, which is at half the size.
    """

    sizes: list[int]
    peaks: list[int]
    slope: float
    intercept: float
    bend: float
    at_twice: float

    @classmethod
    def of(cls, sizes: Sequence[int], peaks: Sequence[int]) -> "Growth":
        """The line through three peaks or more, at sizes that double."""
        slope, intercept = np.polyfit(sizes, peaks, 1)
        earlier, later = (np.diff(peaks) / np.diff(sizes))[-2:]
        return cls(
            sizes=list(sizes),
            peaks=list(peaks),
            slope=float(slope),
            intercept=float(intercept),
            bend=float(later / earlier),
            at_twice=peaks[-1] / peaks[-2],
        )

    def keeps(self, quantity: Quantity) -> bool:
        """Whether memory grows with the quantity no faster than it may."""
        return self.at_twice <= MOST_AT_TWICE if quantity == "latent_size" else self.bend <= MOST_BEND


def step_peak(case: Case, sizes: Sizes, device: torch.device) -> int:
    """Bytes that a training step holds at a time, over what is held between steps."""
    model, x = case.made(sizes, device)
    optimizer = model.configure_optimizers()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        model.training_step(x, 0)["loss"].backward()
        optimizer.step()

    step()  # the optimizer's memory is there from now on
    optimizer.zero_grad(set_to_none=True)
    return peak_bytes(step, device)


def f_peak(case: Case, sizes: Sizes, device: torch.device) -> int:
    """Bytes that f alone holds at a time, forward and backward, at K samples of each datum."""
    model, x = case.made(sizes, device)
    with torch.no_grad():
        target = model.expectation(x)
    z, q = target.q.sample((sizes.num_samples,)), frozen(target.q)
    wanted: list[torch.Tensor] = [*model.parameter_groups()["decoder"]]
    if model.estimator.differentiates_f:
        wanted.append(z.requires_grad_())
    return peak_bytes(lambda: torch.autograd.grad(target.f(z, q).mean(), wanted), device)


def needs(case: Case) -> tuple[int, float]:
    """The evaluations of f that one more sample of each datum takes, and the most that it may cost over them."""
    usual = replace(case.usual, batch_size=1)
    fewer, more = (sides(*case.made(size, torch.device("cpu"))) for size in usual.along("num_samples", 2))
    declared = (more.evaluations - fewer.evaluations) // usual.num_samples
    return declared, TARGET_TWICE if fewer.twice else TARGET


def measure(case: Case, points: int, device: torch.device) -> dict[str, Any]:
    """How the peak grows with each quantity, and with K over that of f."""
    growths: dict[Quantity, Growth] = {}
    for quantity in QUANTITIES:
        along = case.usual.along(quantity, points)
        sizes = [getattr(size, quantity) for size in along]
        growths[quantity] = Growth.of(sizes, [step_peak(case, size, device) for size in along])
    along = case.usual.along("num_samples", points)
    of_f = Growth.of([size.num_samples for size in along], [f_peak(case, size, device) for size in along])
    declared, most = needs(case)
    bounded = [quantity for quantity in QUANTITIES if case.factorized or quantity != "latent_size"]
    return {
        "usual": asdict(case.usual),
        "evaluations": declared,
        "growth": {quantity: asdict(found) for quantity, found in growths.items()},
        "f_slope": of_f.slope,
        "over_f": growths["num_samples"].slope / (of_f.slope * declared),
        "most_over_f": most,
        "too_fast": [quantity for quantity in bounded if not growths[quantity].keeps(quantity)],
    }


TITLE = "Peak memory of a training step (* grows too fast)"
COLUMNS = (
    "estimator",
    "MiB at K, batch, latents",
    "KiB per sample",
    "bend",
    "over its evaluations of f",
    "KiB per datum",
    "bend",
    "KiB per latent",
    "at twice the latents",
)


def row(name: str, result: dict[str, Any]) -> list[str]:
    """A line of the table; an asterisk where memory grows faster than it may."""
    samples, batch, latents = (result["growth"][quantity] for quantity in QUANTITIES)
    stars = {quantity: "*" * (quantity in result["too_fast"]) for quantity in QUANTITIES}
    return [
        name,
        f"{samples['peaks'][0] / MIB:.1f} at {', '.join(str(size) for size in result['usual'].values())}",
        f"{samples['slope'] / KIB:,.0f}",
        f"{samples['bend']:.2f}{stars['num_samples']}",
        f"{result['over_f']:.2f}{'*' * (result['over_f'] > result['most_over_f'])}",
        f"{batch['slope'] / KIB:,.1f}",
        f"{batch['bend']:.2f}{stars['batch_size']}",
        f"{latents['slope'] / KIB:,.1f}",
        f"x {latents['at_twice']:.2f}{stars['latent_size']}",
    ]


@styled
def figure(results: dict[str, dict[str, Any]]) -> Figure:
    """Peaks at the usual sizes and their multiples, on logarithmic axes."""
    made = Figure(figsize=(WIDTH, 0.5 * WIDTH))
    panels = made.subplots(1, 3, sharey=True)
    colours = COLOURS[:-1]
    for ax, (quantity, what) in zip(panels, QUANTITIES.items(), strict=True):
        for number, (name, result) in enumerate(results.items()):
            growth = result["growth"][quantity]
            factors = np.array(growth["sizes"]) / growth["sizes"][0]
            colour, dashes = colours[number % len(colours)], ("-", "--", ":")[number // len(colours)]
            ax.loglog(factors, np.array(growth["peaks"]) / MIB, dashes, color=colour, marker=".", label=name)
        ax.set_xlabel(f"{what}, times the usual")
        ax.set_xticks(factors, [f"{factor:g}" for factor in factors], minor=False)
        ax.minorticks_off()
    panels[0].set_ylabel("peak of a training step, MiB")
    made.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=8)
    return made


def _chosen(made: argparse.ArgumentParser, wanted: Sequence[str] | None) -> dict[str, Case]:
    first = {name: name.partition(",")[0] for name in CASES}
    if unknown := sorted(set(wanted or ()) - set(first.values())):
        known = ", ".join(dict.fromkeys(first.values()))
        made.error(f"argument --only: expected some of {known}, got {' '.join(unknown)}")
    return {name: case for name, case in CASES.items() if not wanted or first[name] in wanted}


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table; writes it, its numbers and the figure."""
    made = parser("memory", __doc__)
    made.add_argument("--points", type=at_least(3), default=4, help="sizes of each quantity")
    made.add_argument("--only", nargs="+", metavar="NAME", help="estimators to measure; by default all")
    made.add_argument("--figure", type=writable, default=OUTPUT / "memory.png")
    options = made.parse_args(arguments)
    cases = _chosen(made, options.only)
    results = {name: measure(case, options.points, options.device) for name, case in cases.items()}
    told = "tensors counted" if options.device.type == "cpu" else "the allocator's figures"
    Findings(
        how=f"{told}, {options.points} sizes of each quantity",
        listings=[Listing(TITLE, COLUMNS, [row(*result) for result in results.items()])],
        content={"points": options.points, "estimators": results},
    ).report(options)
    options.figure.parent.mkdir(parents=True, exist_ok=True)
    figure(results).savefig(options.figure)


if __name__ == "__main__":
    main()
