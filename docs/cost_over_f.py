"""The section of docs/estimators.md on time and memory over those of f, from benchmarks/estimators.json."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MEASURED = Path(__file__).parent.parent / "benchmarks" / "estimators.json"
FAMILIES = ("Bernoulli", "categorical", "normal")


def section() -> tuple[str, tuple[str, ...], list[list[str]], str]:
    """What stands before the table, its header, its rows, and what stands after it."""
    measured = json.loads(MEASURED.read_text())
    header = ("estimator", *(f"{family}: {what}" for family in FAMILIES for what in ("time", "memory")))
    rows = [
        [f"`{name}`", *(cell for family in FAMILIES for cell in _cells(row.get(family)))]
        for name, row in measured["estimators"].items()
    ]
    return _before(measured), header, rows, _after(measured["floors"])


def _cells(row: Mapping[str, Any] | None) -> list[str]:
    if row is None:
        return ["", ""]
    ratios = (row["time_ratio"], row["memory_ratio"])
    return [f"**{each:.2f}**" if each > row["target"] else f"{each:.2f}" for each in ratios]


def _before(measured: Mapping[str, Any]) -> str:
    return f"""\
On VAEs of 784 pixels with 200 bits, 20 x 10 classes or 50 normals, at batch {measured["batch_size"]}: time and peak
memory from q's parameters to all gradients but the encoder's, divided by the evaluations times the cost of one
forward and backward pass of f at one sample of each datum (to z as well where the estimator differentiates f). The
aim is at most 1.3, and 2 where f is differentiated twice; what misses it is bold. Made by
`python -m benchmarks.estimators`, which names the rows measured on fewer latents."""


def _after(floors: Mapping[str, Mapping[str, float]]) -> str:
    lines = "\n".join(
        f"- {family}: " + ", ".join(f"{what} {ratio:.2f}" for what, ratio in floors[family].items()) + "."
        for family in FAMILIES
    )
    return f"""\
What a miss is made of, over one pass of f:

{lines}

*f at given samples* is what every estimator pays: q is built, f is called, the objective is carried. An f of this size
leaves little room beside it for one sample of 20 x 10 classes, whose probabilities are normalised, summed up and
compared. `Learned` trains a network of its own, 784-100-1, beside f. `DoubleCV` and `RODEO` go back through f twice, to
z and to the decoder, and `RODEO` through its network. `Enumeration` passes all states at once: f alone then takes some
1.2 times as long as one state at a time. `UnorderedSet` and `SumAndSample` take one state after the other out of the
distribution, in float64. `GumbelRao` holds R draws of the noise."""
