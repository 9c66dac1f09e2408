"""The table of estimators: docs/estimators.md from class attributes, docstrings and two files of measurements.

    python -m docs.generate_estimators                      render the page; nothing is measured
    python -m docs.generate_estimators --measure missing    measure what has no row yet or has other defaults now
    python -m docs.generate_estimators --measure all        measure everything anew
    python -m docs.generate_estimators --measure REBAR ...  measure these anew

Every estimator is measured on one common checkpoint per family of latents, trained on the embedded digits.
"""

import argparse
import copy
import json
import platform
import re
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, final

import torch
from docs import cost_over_f
from docs.catalogue import Entry, Latents, entries
from rich.progress import track
from torch import Tensor
from torch.distributions import Bernoulli, Normal

from reparam_suite.comparison.library import MOST_EVALUATIONS, NUM_SAMPLES
from reparam_suite.data import Digits
from reparam_suite.diagnostics import gradient_statistics
from reparam_suite.estimators import Average, Bound, LeaveOneOut, LogMeanExp, Pathwise, ScoreFunction
from reparam_suite.models import VAE
from reparam_suite.distributions import OneHotCategorical

HERE = Path(__file__).parent
PAGE, MEASURED = HERE / "estimators.md", HERE / "estimators.json"
RENDER = "python -m docs.generate_estimators"
MEASURE = f"{RENDER} --measure missing"


@final
@dataclass(frozen=True)
class Protocol:
    """How a checkpoint is made and an estimator measured on it.

    Attributes:
        train_steps: of the checkpoint, by Adam at 1e-3 on batches of 100.
        control_steps: before the measurement, of what an estimator learns or remembers; the model stands still.
        most_repeats: independent gradients of each datum, `rows_per_datum` over the evaluations at most, never below 8.
        rows_per_datum: see `most_repeats`.
        timed_steps: whose median time is reported.
        seed: of everything.
    """

    train_steps: int = 2000
    control_steps: int = 300
    most_repeats: int = 32
    rows_per_datum: int = 512
    timed_steps: int = 20
    seed: int = 0


PROTOCOL = Protocol()


@final
@dataclass(frozen=True)
class Checkpoint:
    """One table of measurements."""

    title: str
    latents: Latents
    bound: type[Bound]

    def rows(self) -> Iterator[tuple[Entry, Latents]]:
        """Every estimator that fits, and the latents on which it is measured."""
        for entry in entries():
            latents = self.latents.largest_for(entry, self.bound)
            if latents is not None:
                yield entry, latents


BITS, CLASSES, NORMALS = Latents(Bernoulli, 20), Latents(OneHotCategorical, 8, 4), Latents(Normal, 10)
CHECKPOINTS = {
    "bernoulli": Checkpoint("Bernoulli latents", BITS, Average),
    "categorical": Checkpoint("Categorical latents", CLASSES, Average),
    "normal": Checkpoint("Normal latents", NORMALS, Average),
    "bernoulli_importance": Checkpoint("Bernoulli latents, importance-weighted bound", BITS, LogMeanExp),
    "normal_importance": Checkpoint("Normal latents, importance-weighted bound", NORMALS, LogMeanExp),
}


class StaleMeasurementsError(ValueError):
    """Some estimator has no measurement, or one at other defaults."""


# ----------------------------------------------------------------------------------------------------------- measuring


@lru_cache
def digits() -> Digits:
    """The embedded digits."""
    data = Digits(seed=PROTOCOL.seed)
    data.setup()
    return data


def _batches(data: Digits) -> Iterator[Tensor]:
    while True:
        yield from data.train_dataloader()


@lru_cache
def checkpoint(latents: Latents) -> VAE:
    """A model with these latents, trained with the default estimator of its family."""
    torch.manual_seed(PROTOCOL.seed)
    default = Pathwise() if latents.family is Normal else ScoreFunction(num_samples=NUM_SAMPLES, baseline=LeaveOneOut())
    model = latents.model(default, Average(), digits().num_features)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    batches = _batches(copy.deepcopy(digits()))
    for _ in range(PROTOCOL.train_steps):
        optimizer.zero_grad()
        model.training_step(next(batches), 0).backward()
        optimizer.step()
    return model


def prepared(entry: Entry, latents: Latents, bound: type[Bound]) -> VAE:
    """The checkpoint with this estimator, and what the estimator learns or remembers settled."""
    trained = checkpoint(latents)
    torch.manual_seed(PROTOCOL.seed)
    model = latents.model(entry.make(**entry.options(bound)), bound(), digits().num_features)
    for part in ("encoder", "decoder"):
        getattr(model, part).load_state_dict(getattr(trained, part).state_dict())
    control = list(model.estimator.parameters())
    if not control and not list(model.estimator.buffers()):
        return model
    optimizer = torch.optim.Adam(control or [torch.zeros((), requires_grad=True)], lr=1e-3)
    batches = _batches(copy.deepcopy(digits()))
    for _ in range(PROTOCOL.control_steps):
        loss = model.training_step(next(batches), 0)
        for each, gradient in zip(control, _gradients(loss, control), strict=True):
            each.grad = gradient
        optimizer.step()
    return model


def measure(entry: Entry, latents: Latents, bound: type[Bound]) -> dict[str, Any]:
    """Gradient variance and time of one estimator on the checkpoint."""
    model, x = prepared(entry, latents, bound), digits().sample_batch()
    evaluations = model.estimator.evaluations(model.posterior_of(x[:1]))
    repeats = max(8, min(PROTOCOL.most_repeats, PROTOCOL.rows_per_datum // evaluations))
    torch.manual_seed(PROTOCOL.seed)
    found = gradient_statistics(model, x, repeats)
    milliseconds = [1e3 * _seconds(model, x) for _ in range(3 + PROTOCOL.timed_steps)][3:]
    return {
        "latents": str(latents),
        "num_samples": model.estimator.num_samples,
        "evaluations": evaluations,
        **{
            part: {
                name: float(f"{getattr(found[part], name).item():.4g}")
                for name in ("variance", "standard_error", "squared_norm")
            }
            for part in ("encoder", "decoder")
        },
        "ms": float(f"{statistics.median(milliseconds):.4g}"),
    }


def _seconds(model: VAE, x: Tensor) -> float:
    # CPU time, which other work on the machine disturbs least.
    parameters = list(model.parameters())
    start = time.process_time()
    _gradients(model.training_step(x, 0), [each for each in parameters if each.requires_grad])
    return time.process_time() - start


def _gradients(loss: Tensor, parameters: list[Any]) -> tuple[Any, ...]:
    return torch.autograd.grad(loss, parameters, allow_unused=True) if parameters else ()


def measure_into(measured: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """The measurements with those of the estimators `names` made anew, and no rows of what no longer exists."""
    if measured.get("protocol") != asdict(PROTOCOL):
        names, measured = [entry.name for entry in entries()], {}
    jobs = [
        (key, entry, latents)
        for key, each in CHECKPOINTS.items()
        for entry, latents in each.rows()
        if entry.name in names
    ]
    tables: dict[str, dict[str, Any]] = {key: dict(measured.get("rows", {}).get(key, {})) for key in CHECKPOINTS}
    for key, entry, latents in track(jobs, description="measuring"):
        tables[key][entry.name] = measure(entry, latents, CHECKPOINTS[key].bound)
    return {
        "protocol": asdict(PROTOCOL),
        "machine": f"{platform.machine()}, CPU, {torch.get_num_threads()} thread, torch {torch.__version__}",
        "rows": {
            key: {entry.name: tables[key][entry.name] for entry, _ in each.rows() if entry.name in tables[key]}
            for key, each in CHECKPOINTS.items()
        },
    }


def stale(measured: Mapping[str, Any]) -> list[str]:
    """The estimators without a measurement, or with one at other defaults than they have now."""
    names: dict[str, None] = {}
    for key, each in CHECKPOINTS.items():
        rows = measured.get("rows", {}).get(key, {}) if measured.get("protocol") == asdict(PROTOCOL) else {}
        for entry, latents in each.rows():
            if {**rows.get(entry.name, {}), **_as_it_is(entry, latents, each.bound)} != rows.get(entry.name):
                names[entry.name] = None
    return list(names)


def _as_it_is(entry: Entry, latents: Latents, bound: type[Bound]) -> dict[str, Any]:
    estimator, q = entry.make(**entry.options(bound)), latents.posterior.distribution(latents.raw(), latents.size)
    return {
        "latents": str(latents),
        "num_samples": estimator.num_samples,
        "evaluations": estimator.evaluations(q),
    }


# ----------------------------------------------------------------------------------------------------------- rendering


def render(measured: Mapping[str, Any]) -> str:
    """The page.

    Raises:
        StaleMeasurementsError: naming the estimators that have to be measured first, and the command.
    """
    missing = stale(measured)
    if missing:
        raise StaleMeasurementsError(
            f"docs/estimators.json has no current row for {', '.join(missing)}; run: {MEASURE}"
        )
    parts = [_introduction(measured), "## What they are\n", _facts(), "\n## What they cost\n", _protocol(measured)]
    for key, each in CHECKPOINTS.items():
        parts += [f"\n### {each.title}\n", _measurements(each, measured["rows"][key])]
    before, header, rows, after = cost_over_f.section()
    parts += ["\n## What they add to f\n", before, "", _table(header, rows), "", after]
    return "\n".join(parts) + "\n"


def _introduction(measured: Mapping[str, Any]) -> str:
    return f"""\
# Estimators

<!-- Made from class attributes, docstrings, docs/estimators.json and benchmarks/estimators.json. Edit those. -->

Every estimator of the gradient of $E_{{q(z)}}[f(z)]$ in `reparam_suite.estimators`, at its defaults. On the command
line: `--model.estimator DisARM --model.estimator.num_samples 4`, or
`--model.estimator ScoreFunction --model.estimator.baseline LeaveOneOut`.

- **latents**: the families of q that it is defined for; **bounds**: the objectives that it supports, `Average` (the
  evidence lower bound) and `LogMeanExp` (the importance-weighted bound).
- **gradient**: unbiased, or biased; *relaxed*: its value too is that of another model than the one evaluated.
- **f**: *any* if f may be a black box, *differentiable* if f is differentiated by z.
- **evaluations**: of f for each datum and step, on {BITS}, {CLASSES} or {NORMALS}.
- **learned**: parts that are trained beside the model; *past*: moving averages of past steps.

The page is made by `{RENDER}`, its measurements by
`{MEASURE}`. Machine: {measured["machine"]}.
"""


def _protocol(measured: Mapping[str, Any]) -> str:
    p = Protocol(**measured["protocol"])
    return f"""\
Each table is one checkpoint: a VAE with two hidden layers of 200 on either side, trained for {p.train_steps:,} steps on
the embedded digits (batch 100, Adam at 1e-3, seed {p.seed}; Pathwise for normal latents, ScoreFunction with LeaveOneOut
and K = {NUM_SAMPLES} for discrete ones). What an estimator learns or remembers has had {p.control_steps} steps on it,
the model standing still.

- **K**: hard samples of q in the value. **evaluations**: of f for each datum.
- **variance**: trace of the covariance of the gradient of the mean objective over one batch of 100, over the
  estimator's noise alone, by all parameters of the encoder or the decoder; ± is its standard error. The importance-
  weighted bound has K = {NUM_SAMPLES} throughout.
- **ms**: CPU time from the batch to the gradient by all parameters, encoder included; median of {p.timed_steps}.

A small variance is no merit of its own: a biased estimator may have it and climb another hill, and more evaluations buy
it. VarianceNormalized divides its gradient, and so its variance, by the scale of the signal. Rows are in order of the
encoder's variance. An estimator that refuses so many latents, or would need more than
{MOST_EVALUATIONS} evaluations, is measured on a checkpoint with fewer of them, which is named."""


def _facts() -> str:
    header = ("estimator", "what it does", "latents", "bounds", "gradient", "f", "evaluations", "learned", "source")
    return _table(header, [_fact(entry) for entry in entries()])


def _fact(entry: Entry) -> list[str]:
    estimator = entry.at_defaults
    documented = [each.__doc__ or "" for each in entry.documented]
    gradient = "unbiased" if estimator.unbiased else "biased"
    return [
        f"`{entry.name}`",
        summary(documented[0]),
        ", ".join(each.__name__ for each in estimator.families),
        ", ".join(each.__name__ for each in entry.bounds()),
        f"{gradient}, relaxed" if estimator.relaxed else gradient,
        "differentiable" if estimator.differentiates_f else "any",
        _evaluations(entry),
        _learned(entry),
        next((_linked(found) for found in map(source, documented) if found), "-"),
    ]


def _evaluations(entry: Entry) -> str:
    estimator = entry.at_defaults
    numbers = {
        str(each): estimator.evaluations(each.posterior.distribution(each.raw(), each.size))
        for each in (BITS, CLASSES, NORMALS)
        if issubclass(each.family, estimator.families)
    }
    if len(set(numbers.values())) == 1:
        return f"{next(iter(numbers.values())):,}"
    return "; ".join(f"{number:,} on {latents}" for latents, number in numbers.items())


def _learned(entry: Entry) -> str:
    # A model makes the lazy layers.
    each, bound = next(
        (fitting, bound)
        for bound in entry.bounds()
        for latents in (BITS, CLASSES, NORMALS)
        if (fitting := latents.largest_for(entry, bound)) is not None
    )
    model = each.model(entry.make(**entry.options(bound)), bound(), 1)
    parameters = {_part(name): None for name, _ in model.estimator.named_parameters()}
    remembered = {name.rpartition(".")[0]: None for name, _ in model.estimator.named_buffers()}
    parts = [f"`{name}`" for name in parameters] + [f"past: `{name}`" for name in remembered]
    return ", ".join(parts) or "-"


def _part(name: str) -> str:
    return re.sub(r"(\.\d+)?\.(weight|bias)$", "", name)


def summary(docstring: str) -> str:
    """The first paragraph."""
    return " ".join(docstring.strip().split("\n\n")[0].split()).rstrip(".")


def source(docstring: str) -> str:
    """The citation: from the first line after the summary that begins with an author and a year, to its full stop."""
    body = re.split(r"\n\s*(?:Args|Raises|Attributes):", docstring)[0]
    for paragraph in body.split("\n\n")[1:]:
        lines = [line.strip() for line in paragraph.strip().splitlines()]
        for i, line in enumerate(lines):
            if re.match(r"[A-Z][^.;(]*(?: et al\. )?\((?:19|20)\d\d\)", line):
                return re.split(r"(?<!al)\.\s+(?=[A-Z])", " ".join(lines[i:]))[0].rstrip(".")
    return ""


def _linked(citation: str) -> str:
    return re.sub(r"arXiv (\d{4}\.\d{4,5})", r"[arXiv \1](https://arxiv.org/abs/\1)", citation)


def _measurements(each: Checkpoint, rows: Mapping[str, Any]) -> str:
    header = ("estimator", "gradient", "K", "evaluations", "encoder's variance", "decoder's variance", "ms")
    lines = []
    for entry, latents in sorted(each.rows(), key=lambda pair: rows[pair[0].name]["encoder"]["variance"]):
        row = rows[entry.name]
        fewer = "" if latents == each.latents else f" ({latents})"
        lines.append(
            [
                f"`{entry.name}`{fewer}",
                "unbiased" if entry.at_defaults.unbiased else "biased",
                str(row["num_samples"]),
                f"{row['evaluations']:,}",
                _variance(row["encoder"]),
                _variance(row["decoder"]),
                f"{row['ms']:.2f}",
            ]
        )
    return _table(header, lines)


def _variance(found: Mapping[str, float]) -> str:
    # What rounding alone leaves of no noise at all is not told from 0.
    if found["variance"] <= 1e-9 * abs(found["squared_norm"]):
        return "0"
    return f"{_rounded(found['variance'], 3)} ± {_rounded(found['standard_error'], 1)}"


def _rounded(value: float, digits: int) -> str:
    return f"{float(f'{value:.{digits}g}'):,.6g}"


def _table(header: tuple[str, ...], rows: list[list[str]]) -> str:
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [list(header), ["---"] * len(header), *escaped])


def main() -> None:
    """Measures if asked to, and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", nargs="+", metavar="NAME", help="missing, all, or estimators by class name")
    options = parser.parse_args()
    measured = json.loads(MEASURED.read_text()) if MEASURED.exists() else {}
    if options.measure:
        measured = measure_into(measured, _chosen(parser, options.measure, measured))
        MEASURED.write_text(json.dumps(measured, indent=1) + "\n")
    try:
        PAGE.write_text(render(measured))
    except StaleMeasurementsError as error:
        parser.exit(1, f"{error}\n")


def _chosen(parser: argparse.ArgumentParser, wanted: list[str], measured: Mapping[str, Any]) -> list[str]:
    known = {entry.name: {each.__name__ for each in entry.documented} for entry in entries()}
    if wanted == ["all"]:
        return list(known)
    if wanted == ["missing"]:
        return stale(measured)
    unknown = set(wanted) - set.union(*known.values())
    if unknown:
        parser.error(f"--measure {' '.join(sorted(unknown))}: accepted are missing, all, {', '.join(known)}")
    return [name for name, classes in known.items() if classes & set(wanted)]


if __name__ == "__main__":
    main()
