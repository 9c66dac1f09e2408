"""Time and memory over those of f in the table of estimators, from docs/measured/benchmarks/estimators.json."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MEASURED = Path(__file__).parents[1] / "docs" / "measured" / "benchmarks" / "estimators.json"
FAMILIES = ("Bernoulli", "categorical", "normal")


def section() -> tuple[str, tuple[str, ...], list[list[str]], str]:
    """The text before the table, its header, its rows, and the text after it."""
    measured = json.loads(MEASURED.read_text())
    header = ("estimator", *(f"{family}: {what}" for family in FAMILIES for what in ("time", "memory")))
    rows = [
        [f"`{name}`", *(cell for family in FAMILIES for cell in _cells(row.get(family)))]
        for name, row in measured["estimators"].items()
    ]
    return _before(measured), header, rows, _after(measured["estimators"])


def _cells(row: Mapping[str, Any] | None) -> list[str]:
    if row is None:
        return ["", ""]
    ratios = (row["time_ratio"], row["memory_ratio"])
    return [f"**{ratio:.2f}**" if ratio > row["target"] else f"{ratio:.2f}" for ratio in ratios]


def _before(measured: Mapping[str, Any]) -> str:
    return f"""\
On VAEs of 784 pixels with 200 bits, 20 x 10 classes or 50 normals, at batch {measured["batch_size"]}: time and peak
memory from q's parameters to all gradients but the encoder's, divided by the evaluations times the cost of one
forward and backward pass of f at one sample of each datum (to z as well where the estimator differentiates f). The
target is at most 1.3, and 2 where f is differentiated twice; ratios above it are bold. Made by
`python -m benchmarks.estimators`, which names the rows measured on fewer latents."""


def _after(estimators: Mapping[str, Mapping[str, Any]]) -> str:
    header = "| estimator | latents | at most | time | its floor | memory | its floor | beside f and its noise |"
    lines = [
        _missed(name, row) for name, of_families in estimators.items() for row in of_families.values() if row["floor"]
    ]
    return "\n".join([_FLOORS, "", header, "|" + " --- |" * header.count("| "), *lines])


def _missed(name: str, row: Mapping[str, Any]) -> str:
    numbers = [
        f"**{side[ratio]:.2f}**" if side is row and side[ratio] > row["target"] else f"{side[ratio]:.2f}"
        for ratio in ("time_ratio", "memory_ratio")
        for side in (row, row["floor"])
    ]
    return f"| `{name}` | {row['latents']} | {row['target']:g} | {' | '.join(numbers)} | {row['floor']['beside']} |"


_FLOORS = """\
Rows that miss their target are listed below with their floor: the same ratio for the work that any implementation has.
That is q built from its parameters, one forward and backward pass of f at as many given samples, uniforms for those
samples, and what the last column names. It is measured like the ratio, and is as uncertain: the range of the rounds is
in benchmarks/estimators.png.

The difference between the two is the estimator's own arithmetic. A pass of f at one sample of each datum is short, so
that every further operation counts, on tensors of the size of z and on the K values. Rows with one sample have nothing
else, most of all on classes, whose probabilities are normalised, summed and compared. `Learned` trains a network of
its own, 784-100-1. `DoubleCV` and `RODEO` have two backward passes through f, to z and to the decoder, and `RODEO` one
through its network. `GumbelRao` draws R samples given the hard one and forms their mean Jacobian. `UnorderedSet` and
`SumAndSample` remove one state after the other from the distribution, in float64. `Enumeration` passes all states at
once."""
