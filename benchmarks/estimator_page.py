"""The table of estimators: docs/measured/estimators.md from class attributes, docstrings and two files of measurements.

    python -m benchmarks.estimator_page                      render the page; nothing is measured
    python -m benchmarks.estimator_page --measure missing    measure estimators without a row or with other defaults
    python -m benchmarks.estimator_page --measure all        measure everything anew
    python -m benchmarks.estimator_page --measure REBAR ...  measure these anew

Every estimator is measured on one common checkpoint per family of latents, trained on the embedded digits.
"""

import argparse
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from benchmarks.catalogue import Entry, entries
from benchmarks.estimator_measurements import (
    BITS,
    CHECKPOINTS,
    CLASSES,
    NORMALS,
    Checkpoint,
    Protocol,
    measure_into,
    stale,
)
from torch.distributions import Beta, Dirichlet, Distribution, Gamma, Independent

from benchmarks import cost_over_f
from reparam_suite.comparison.library import MOST_EVALUATIONS, NUM_SAMPLES
from reparam_suite.distributions import (
    bernoulli,
    categorical,
    is_reparameterized,
    multivariate_normal,
    normal,
    translated,
    von_mises,
)
from reparam_suite.estimators import GradientEstimator

FOLDER = Path(__file__).parents[1] / "docs" / "measured"
PAGE, MEASURED = FOLDER / "estimators.md", FOLDER / "estimators.json"
RENDER = "python -m benchmarks.estimator_page"
MEASURE = f"{RENDER} --measure missing"


class StaleMeasurementsError(ValueError):
    """Some estimator has no measurement, or one at other defaults."""


def render(measured: Mapping[str, Any]) -> str:
    """The page.

    Raises:
        StaleMeasurementsError: naming the estimators that have to be measured first, and the command.
    """
    missing = stale(measured)
    if missing:
        raise StaleMeasurementsError(f"{MEASURED} has no current row for {', '.join(missing)}; run: {MEASURE}")
    parts = [_introduction(measured), "## What they are\n", _facts(), "\n## What they cost\n", _protocol(measured)]
    for key, checkpoint in CHECKPOINTS.items():
        parts += [f"\n### {checkpoint.title}\n", _measurements(checkpoint, measured["rows"][key])]
    before, header, rows, after = cost_over_f.section()
    parts += ["\n## What they add to f\n", before, "", _table(header, rows), "", after]
    return "\n".join(parts) + "\n"


def _introduction(measured: Mapping[str, Any]) -> str:
    return f"""\
# Estimators

<!-- Made from class attributes, docstrings, estimators.json and benchmarks/estimators.json. Edit those. -->

Every estimator of the gradient of $E_{{q(z)}}[f(z)]$ in `reparam_suite.estimators`, at its defaults. On the command
line: `--model.estimator DisARM --model.estimator.num_samples 4`, or
`--model.estimator ScoreFunction --model.estimator.baseline LeaveOneOut`.

- **latents**: the families of q that it is defined for, or *any*, all of them or those with reparameterized samples;
  **bounds**: the objectives that it supports, `Average` (the evidence lower bound) and `LogMeanExp` (the
  importance-weighted bound).
- **gradient**: unbiased, or biased; *relaxed*: its value too is that of another model than the one evaluated.
- **f**: *any* if f may be a black box, *differentiable* if f is differentiated with respect to z.
- **evaluations**: of f per datum and step, on {BITS}, {CLASSES} or {NORMALS}.
- **learned**: parts that are trained beside the model; *past*: moving averages of past steps.

The page is made by `{RENDER}`, its measurements by
`{MEASURE}`. Machine: {measured["machine"]}.
"""


def _protocol(measured: Mapping[str, Any]) -> str:
    p = Protocol(**measured["protocol"])
    return f"""\
Each table is one checkpoint: a VAE with two hidden layers of 200 on either side, trained for {p.train_steps:,} steps on
the embedded digits (batch 100, Adam at 1e-3, seed {p.seed}; Pathwise for normal latents, ScoreFunction with LeaveOneOut
and K = {NUM_SAMPLES} for discrete ones). Learned and remembered parts of an estimator were trained for
{p.control_steps} steps on it, with the model frozen.

- **K**: hard samples of q in the value. **evaluations**: of f per datum.
- **variance**: trace of the covariance of the gradient of the mean objective over one batch of 100, over the
  estimator's noise alone, with respect to all parameters of the encoder or the decoder; ± is its standard error. The
  importance-weighted bound has K = {NUM_SAMPLES} throughout.
- **ms**: CPU time from the batch to the gradient with respect to all parameters, encoder included; median of
  {p.timed_steps}.

A small variance alone is no merit: a biased estimator may have one and follow another objective, and more evaluations
reduce it. [The decision chart](../choosing.md) weighs variance, time and bounds. VarianceNormalized divides its
gradient, and so its variance, by the scale of the signal. Rows are in order of the encoder's variance. An
estimator that does not take so many latents, or would need more than {MOST_EVALUATIONS} evaluations, is measured on a
checkpoint with fewer of them, which is named."""


def _facts() -> str:
    header = ("estimator", "what it does", "latents", "bounds", "gradient", "f", "evaluations", "learned", "source")
    return _table(header, [_fact(entry) for entry in entries()])


def _fact(entry: Entry) -> list[str]:
    estimator = entry.at_defaults
    documented = [cls.__doc__ or "" for cls in entry.documented]
    gradient = "unbiased" if estimator.unbiased else "biased"
    return [
        f"`{entry.name}`",
        summary(documented[0]),
        _families(estimator),
        ", ".join(bound.__name__ for bound in entry.bounds()),
        f"{gradient}, relaxed" if estimator.relaxed else gradient,
        "differentiable" if estimator.differentiates_f else "any",
        _evaluations(entry),
        _learned(entry),
        next((_linked(found) for found in map(source, documented) if found), "-"),
    ]


def _examples() -> dict[str, Distribution]:
    # One distribution of each family that the page names, small enough for every estimator.
    zeros, ones, rows = torch.zeros(1, 2), torch.ones(1, 2), torch.zeros(1, 2, 2)
    return {
        "Normal": normal(zeros, ones),
        "MultivariateNormal": multivariate_normal(zeros, torch.eye(2).expand(1, 2, 2)),
        "Bernoulli": bernoulli(zeros),
        "OneHotCategorical": categorical(rows),
        "Gamma": Independent(Gamma(ones, ones), 1),
        "Beta": Independent(Beta(ones, ones), 1),
        "Dirichlet": Dirichlet(ones),
        "VonMises": von_mises(zeros, ones),
    }


def _families(estimator: GradientEstimator) -> str:
    examples = _examples()
    fitting = [name for name, q in examples.items() if _takes(estimator, q)]
    if len(fitting) == len(examples):
        return "any"
    if fitting == [name for name, q in examples.items() if is_reparameterized(q)]:
        return "any with `rsample`"
    return ", ".join(fitting)


def _takes(estimator: GradientEstimator, q: Distribution) -> bool:
    return estimator.fits(translated(q)) is None


def _evaluations(entry: Entry) -> str:
    estimator = entry.at_defaults
    numbers = {
        str(latents): estimator.evaluations(latents.example())
        for latents in (BITS, CLASSES, NORMALS)
        if _takes(estimator, replace(latents, size=2).example())
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
    saved = model.estimator.state_dict()  # without the constants among the buffers
    remembered = {name.rpartition(".")[0]: None for name, _ in model.estimator.named_buffers() if name in saved}
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
    known = {entry.name: {cls.__name__ for cls in entry.documented} for entry in entries()}
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
