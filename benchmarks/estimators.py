"""Time and memory of each gradient estimator over those of the evaluations of f that it declares.

    python -m benchmarks.estimators [--steps 20] [--rounds 5] [--only DisARM ARMS] [--device cpu]
    python -m benchmarks.estimators --output docs/measured/benchmarks/estimators.json \
        --figure docs/measured/benchmarks/estimators.png

The second command measures the figures of the documentation anew; benchmarks.estimator_page renders them.

On VAEs of 784 pixels with two hidden layers of 200 on either side, at batch 100: 200 bits, 20 categoricals of 10
classes, 50 normals. f is log p(x|z), or log p(x, z) - log q(z) where an estimator or a bound wants all of it.

A ratio is the cost of an estimator, from q's parameters to the gradient with respect to them and the decoder's
(encoder, closed-form KL and optimizer excluded), divided by `evaluations` times the cost of one forward and backward
pass of f at one sample of each datum; the backward pass reaches z where the estimator differentiates f. Both sides run
in turn in this process; the number is the median of the rounds' ratios, each the ratio of two medians. Evaluations that
need no backward pass cost a third, and many samples at once cost less than one by one: a ratio may be well below 1.

Estimators that miss their target are listed under the table beside their floor, the cost of the operations that no code
for the estimator can do without, in the same units: q built from its parameters, as many values of f at samples that
are given, all at once and back to what the estimator differentiates, uniforms for those samples, and the operations
that `Least` names.

Time on the CPU is the process's CPU time, which other work on the machine disturbs least; on CUDA it is wall time.
Memory is the peak above that of what is held between steps. An estimator that refuses so many latents, or would need
more than 512 evaluations, is measured on the most that it takes.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from benchmarks.catalogue import Entry, Latents, entries
from benchmarks.least import Least
from benchmarks.measuring import OUTPUT, Findings, Listing, at_least, parser, writable
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, Normal

from reparam_suite.diagnostics.memory import peak_bytes
from reparam_suite.distributions import OneHotCategorical, frozen, parameters, rebuilt
from reparam_suite.estimators import Average, Bound, ControlledPathwise, Expectation
from reparam_suite.estimators.control_variates import ControlledScore
from reparam_suite.figures import COLOURS, WIDTH, styled
from reparam_suite.models import VAE

NUM_FEATURES, BATCH_SIZE, SEED = 784, 100, 0
LATENTS = {
    "Bernoulli": Latents(Bernoulli, 200),
    "categorical": Latents(OneHotCategorical, 20, 10),
    "normal": Latents(Normal, 50),
}
TARGET, TARGET_TWICE = 1.3, 2.0
"""At most: where f is differentiated once or not at all, and where it is differentiated twice."""

Step = Callable[[], object]


@final
@dataclass(frozen=True)
class Sides:
    """The two sides of a ratio: a step of the estimator, and one forward and backward pass of f."""

    estimator: Step
    f: Step
    evaluations: int
    twice: bool


def sides(model: VAE, x: Tensor) -> Sides:
    """Both steps at the q that the encoder gives for x, its parameters being leaves."""
    target = replace(model.expectation(x), exact=None)
    leaves = {name: value.detach().requires_grad_() for name, value in parameters(target.q).items()}
    groups = model.parameter_groups()
    decoder, control = groups["decoder"], groups.get("control", [])
    differentiated = model.estimator.differentiates_f

    def step(f: Callable[..., Tensor] = target.f) -> object:
        own = Expectation(q=rebuilt(target.q, leaves), f=f, bound=target.bound, context=target.context)
        estimate = model.estimator(own)
        loss = estimate.control_loss - estimate.objective.mean()
        return torch.autograd.grad(loss, [*leaves.values(), *decoder, *control], allow_unused=True)

    z, q = target.q.sample((1,)).requires_grad_(differentiated), frozen(target.q)

    def of_f() -> object:
        return torch.autograd.grad(target.f(z, q).mean(), [*decoder, z] if differentiated else decoder)

    twice: list[bool] = []

    def watched(z: Tensor, q: Distribution) -> Tensor:
        z = z.view_as(z)
        if z.requires_grad:  # the backward pass of a pass that is differentiated again is itself recorded
            z.register_hook(lambda _: twice.append(torch.is_grad_enabled()))
        return target.f(z, q)

    step(watched)
    return Sides(step, of_f, model.estimator.evaluations(target.q), twice=any(twice))


def measure(entry: Entry, latents: Latents, bound: type[Bound], x: Tensor, num_steps: int, rounds: int) -> Any:
    """The row of one estimator on one model."""
    torch.manual_seed(SEED)
    model = latents.model(entry.make(**entry.options(bound)), bound(), NUM_FEATURES).to(x.device)
    compared = sides(model, x)
    evaluations = compared.evaluations
    steps = max(3, num_steps // evaluations)
    _round(compared, 3, x.device)
    pairs = [_round(compared, steps, x.device) for _ in range(rounds)]
    ratios = [ours / (evaluations * of_f) for ours, of_f in pairs]
    peaks = [peak_bytes(side, x.device) for side in (compared.estimator, compared.f)]
    target = TARGET_TWICE if compared.twice else TARGET
    time_ratio, memory_ratio = statistics.median(ratios), peaks[0] / (evaluations * peaks[1])
    missed = max(time_ratio, memory_ratio) > target
    return {
        "latents": str(latents),
        "bound": bound.__name__,
        "evaluations": evaluations,
        "differentiated_twice": compared.twice,
        "target": target,
        "time_ratio": time_ratio,
        "time_ratios": ratios,
        "ms": [[1e3 * seconds for seconds in pair] for pair in pairs],
        "memory_ratio": memory_ratio,
        "peak_bytes": peaks,
        "floor": floor(model, x, compared, steps, rounds) if missed else None,
    }


def _round(compared: Sides, steps: int, device: torch.device) -> tuple[float, float]:
    # Median seconds of both sides in turn; f as often as makes the two sides' times alike, 20 times at most.
    repeats = min(20, compared.evaluations)
    ours, of_f = [], []
    for _ in range(steps):
        ours.append(_seconds(compared.estimator, 1, device))
        of_f.append(_seconds(compared.f, repeats, device) / repeats)
    return statistics.median(ours), statistics.median(of_f)


def _seconds(step: Step, repeats: int, device: torch.device) -> float:
    if device.type == "cpu":
        start = time.process_time()
        for _ in range(repeats):
            step()
        return time.process_time() - start
    torch.cuda.synchronize(device)
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    torch.cuda.synchronize(device)
    return time.perf_counter() - start


def floor(model: VAE, x: Tensor, compared: Sides, steps: int, rounds: int) -> dict[str, Any]:
    """Time and memory of `Least` in the units of the model's estimator, whose place it takes."""
    own, q = model.estimator, model.posterior(x)
    given = own.num_samples if isinstance(own, ControlledScore | ControlledPathwise) else compared.evaluations
    model.estimator = least = Least(own, q.sample((given,)))
    step = sides(model, x).estimator
    pairs = [_round(replace(compared, estimator=step), steps, x.device) for _ in range(rounds)]
    return {
        "beside": least.beside,
        "time_ratio": statistics.median(ours / (compared.evaluations * of_f) for ours, of_f in pairs),
        "memory_ratio": peak_bytes(step, x.device) / (compared.evaluations * peak_bytes(compared.f, x.device)),
    }


def table(results: dict[str, dict[str, Any]], device: torch.device) -> Table:
    """One row per estimator; an asterisk where the target is missed."""
    made = Table(
        title="From q's parameters to the gradients, over evaluations x one forward and backward pass of f at one "
        f"sample of each datum (to z where the estimator differentiates f); {device.type}, batch {BATCH_SIZE}"
    )
    made.add_column("estimator")
    for family in LATENTS:
        for column in (f"{family}\nevaluations", "time", "memory"):
            made.add_column(column, justify="right")
    made.add_column("at most", justify="right")
    made.add_column("measured on fewer latents, or another bound")
    for name, row in results.items():
        cells = [cell for family in LATENTS for cell in _cells(row.get(family))]
        notes = [_note(cell, LATENTS[family]) for family, cell in row.items()]
        target = max(cell["target"] for cell in row.values())
        made.add_row(name, *cells, f"{target:g}", "; ".join(dict.fromkeys(note for note in notes if note)))
    return made


def _cells(row: dict[str, Any] | None) -> list[str]:
    if row is None:
        return ["", "", ""]
    ratios = (row["time_ratio"], row["memory_ratio"])
    return [f"{row['evaluations']:,}", *(f"{ratio:.2f}{'*' if ratio > row['target'] else ' '}" for ratio in ratios)]


def _note(row: dict[str, Any], wanted: Latents) -> str:
    notes = [row["latents"]] if row["latents"] != str(wanted) else []
    return ", ".join([*notes, row["bound"]] if row["bound"] != Average.__name__ else notes)


@styled
def figure(results: dict[str, dict[str, Any]]) -> Figure:
    """Both ratios of every estimator on a logarithmic axis, the range of the rounds pale, the targets in black."""
    made = Figure(figsize=(WIDTH, 1.4 + 0.19 * len(results)))
    panels = made.subplots(1, 2, sharey=True)
    places = {name: i for i, name in enumerate(results)}
    twice = [
        places[name] for name, row in results.items() if any(cell["differentiated_twice"] for cell in row.values())
    ]
    for ax, quantity in zip(panels, ("time", "memory"), strict=True):
        ax.axvline(TARGET, color=COLOURS[-1], linewidth=0.8, label=f"at most {TARGET:g}")
        ax.plot(
            [TARGET_TWICE] * len(twice), twice, "k|", markersize=9, label=f"{TARGET_TWICE:g}: f differentiated twice"
        )
        for colour, family in zip(COLOURS, LATENTS, strict=False):
            for name, row in results.items():
                if quantity == "time" and family in row:
                    ratios = row[family]["time_ratios"]
                    ax.hlines(places[name], min(ratios), max(ratios), color=colour, alpha=0.5)
            shown = [(row[family][f"{quantity}_ratio"], places[name]) for name, row in results.items() if family in row]
            ax.plot([ratio for ratio, _ in shown], [place for _, place in shown], "o", color=colour, label=family)
        ax.set(xscale="log", ylim=(len(places) - 0.4, -0.6), title=quantity)
        ax.set_xlabel("over evaluations x one pass of f")
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.xaxis.set_minor_locator(NullLocator())
    panels[0].set_yticks(range(len(places)), list(places))
    made.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=5, fontsize=8)
    return made


MISSED = ("estimator", "latents", "beside f and its noise", "time", "its floor", "memory", "its floor", "at most")


def missed(results: dict[str, dict[str, Any]]) -> list[list[str]]:
    """The rows that miss their target in time or in memory, beside their floors."""
    return [
        [name, result["latents"], found["beside"], ours, least, memory, least_memory, f"{result['target']:g}"]
        for name, row in results.items()
        for result in row.values()
        if (found := result["floor"])
        for _, ours, memory in [_cells(result)]
        for least, least_memory in [(f"{found['time_ratio']:.2f}", f"{found['memory_ratio']:.2f}")]
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table; writes numbers, figure and, as Markdown, the estimators that miss their target."""
    made = parser("estimators", __doc__)
    made.add_argument(
        "--steps", type=at_least(1), default=20, help="steps a round, divided by the evaluations; at least 3"
    )
    made.add_argument("--rounds", type=at_least(1), default=5)
    made.add_argument("--only", nargs="+", metavar="NAME", help="estimators to measure; by default all")
    made.add_argument("--figure", type=writable, default=OUTPUT / "estimators.png")
    options = made.parse_args(arguments)
    chosen = [entry for entry in entries() if not options.only or entry.documented[0].__name__ in options.only]
    unknown = set(options.only or ()) - {entry.documented[0].__name__ for entry in chosen}
    if unknown:
        known = ", ".join(entry.documented[0].__name__ for entry in entries())
        made.error(f"argument --only: expected some of {known}, got {' '.join(sorted(unknown))}")

    generator = torch.Generator().manual_seed(SEED)
    x = (torch.rand(BATCH_SIZE, NUM_FEATURES, generator=generator) < 0.2).float().to(options.device)
    console = Console()
    results: dict[str, dict[str, Any]] = {}
    with console.status("") as status:
        for entry in chosen:
            status.update(entry.name)
            bound = entry.bounds()[0]
            fitting = {name: kind.largest_for(entry, bound) for name, kind in LATENTS.items()}
            results[entry.name] = {
                name: measure(entry, latents, bound, x, options.steps, options.rounds)
                for name, latents in fitting.items()
                if latents is not None
            }
    # A pipe is as wide as the table.
    printer = Console(width=None if console.is_terminal else 200)
    printer.print(table(results, options.device))
    num_rows = sum(map(len, results.values()))
    Findings(
        how=f"{options.steps} steps, {options.rounds} rounds, {'cpu' if options.device.type == 'cpu' else 'wall'} time",
        listings=[Listing("Estimators that miss their target (*)", MISSED, missed(results), num_names=3)],
        content={
            "batch_size": BATCH_SIZE,
            "rounds": options.rounds,
            "estimators": results,
        },
        notes=[f"{num_rows - len(missed(results))} of {num_rows} rows keep to their target in time and memory."],
    ).report(options)
    options.figure.parent.mkdir(parents=True, exist_ok=True)
    figure(results).savefig(options.figure)


if __name__ == "__main__":
    main()
