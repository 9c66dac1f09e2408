"""What a comparison of gradients found: a table for the eye, and the same numbers as CSV, JSON and a figure."""

import csv
import io
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, final

from rich.console import Console
from rich.table import Table
from torch import Tensor

from reparam_suite.comparison.candidates import Candidates
from reparam_suite.diagnostics import BasketRow, GradientBias, ranked
from reparam_suite.diagnostics.measuring import MODEL_GROUPS
from reparam_suite.figures import gradient_cost

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_UNTRAINED, _BIASED = "*", "†"
_LONGEST = 5
"""Digits after the point, or zeros before it, that a table shows."""
_CLEAR = 2.0
"""Standard errors by which a squared bias must exceed zero to be shown as one, and not as a bound."""


@final
class GradientReport:
    """The rows so far, and how they are shown.

    Attributes:
        rows: in the order in which they were measured.

    Args:
        candidates: what was to be measured.
        reference: what bias and cosine are held against.
        order_by: the group by whose work-normalised variance the rows are ordered.
    """

    def __init__(self, candidates: Candidates, reference: str, order_by: str) -> None:
        self._candidates = candidates
        self._reference = reference
        self._order_by = order_by
        self.rows: list[BasketRow] = []

    def records(self) -> list[dict[str, float | int | bool | str]]:
        """A row each, the best first, as plain numbers."""
        return [
            {**row.figures(), "learned_parts": self._candidates.state_of(row.name)}
            for row in ranked(self.rows, self._order_by)
        ]

    def csv(self) -> str:
        """The records, one a line."""
        text = io.StringIO()
        records = self.records()
        lines = csv.DictWriter(text, fieldnames=list(records[0]), lineterminator="\n")
        lines.writeheader()
        lines.writerows(records)
        return text.getvalue()

    def json(self) -> dict[str, Any]:
        """The records, what they were held against, and what was left out; a number that is none is null."""
        return {
            "order_by": self._order_by,
            "num_estimators": len(self._candidates.chosen),
            "reference": self._reference,
            "reference_relative_error": {name: _plain(error) for name, error in self._reference_errors().items()},
            "rows": [{name: _plain(value) for name, value in record.items()} for record in self.records()],
            "left_out": self._candidates.left_out,
        }

    def figure(self) -> "Figure":
        """Variance against milliseconds."""
        return gradient_cost(
            {
                row.name: (
                    row.cost.milliseconds,
                    float(row.statistics[self._order_by].variance),
                    float(row.statistics[self._order_by].standard_error),
                )
                for row in self.rows
            },
            biased=[row.name for row in self.rows if not row.unbiased],
            group=self._order_by,
        )

    def show(self, console: Console) -> None:
        """Prints a table for each part of the model, in one order, and what was left out.

        The variational parameters are in the files, and printed if the order is by one of them.
        """
        groups = [self._order_by, *(each for each in MODEL_GROUPS if each != self._order_by)]
        for group in groups:
            if group in self.rows[0].statistics:
                console.print(self._table(group))
        for line in self._notes():
            console.print(line, soft_wrap=True, markup=False)

    def _table(self, group: str) -> Table:
        table = Table(title=f"Gradient by {group}", title_justify="left", title_style="bold")
        table.add_column("estimator", overflow="fold", min_width=16)
        costs = ("evaluations", "ms", "MiB") if group == self._order_by else ()
        for name in ("variance x ms", "variance", "snr", "bias", "cosine", *costs):
            table.add_column(name, justify="right", overflow="fold")
        for row in ranked(self.rows, self._order_by):
            statistics, bias, cost = row.statistics[group], row.bias[group], row.cost
            cells = [
                self._label(row),
                f"{float(row.work_normalized(group)):.3g}",
                _with_error(statistics.variance, statistics.standard_error),
                _number(statistics.snr),
                _bias_cell(bias),
                _with_error(bias.cosine, bias.cosine_error),
            ]
            if costs:
                cells += [f"{cost.evaluations:,}", f"{cost.milliseconds:.2f}", f"{cost.peak_bytes / 2**20:.1f}"]
            table.add_row(*cells)
        return table

    def _label(self, row: BasketRow) -> str:
        own = " (of the checkpoint)" if row.name == self._candidates.own else ""
        untrained = _UNTRAINED if self._candidates.state_of(row.name) == "initial" else ""
        return f"{row.name}{own}{untrained}{'' if row.unbiased else _BIASED}"

    def _notes(self) -> Iterator[str]:
        labels = "".join(self._label(row) for row in self.rows)
        missing = len(self._candidates.chosen) - len(self.rows)
        if missing:
            yield f"{missing} of {len(self._candidates.chosen)} estimators were not measured"
        if _UNTRAINED in labels:
            yield f"{_UNTRAINED} what it learns or remembers is as it starts, untrained"
        if _BIASED in labels:
            yield f"{_BIASED} biased: a small variance may be that of another gradient"
        yield f"bias and cosine against {self._reference}, {self._exactness()}"
        for name, reason in self._candidates.left_out.items():
            yield f"left out   {reason}" if reason.startswith(name) else f"left out   {name}: {reason}"

    def _exactness(self) -> str:
        errors = self._reference_errors()
        if not any(errors.values()):
            return "exact"
        told = ", ".join(f"{100.0 * error:.2g} % ({group})" for group, error in errors.items() if group in MODEL_GROUPS)
        return f"off by {told} of its length"

    def _reference_errors(self) -> dict[str, float]:
        # Of its length, over the minibatches; every row has the same reference.
        return {
            group: float(each.reference_error / each.reference_squared_norm.sqrt())
            for group, each in self.rows[0].bias.items()
        }


def _bias_cell(bias: GradientBias) -> str:
    # |bias| / |reference|, or what it is surely below.
    squared, error = float(bias.squared_bias), float(bias.squared_bias_error)
    if squared > _CLEAR * error:
        return f"{float(bias.relative):.2g}"
    bound = math.sqrt((max(squared, 0.0) + _CLEAR * error) / float(bias.reference_squared_norm))
    return f"< {bound:.2g}"


def _with_error(value: Tensor, error: Tensor) -> str:
    # Down to the first digit of the error.
    if not value.isfinite() or not error.isfinite():
        return _number(value)
    digits = 0 if error == 0.0 else -math.floor(math.log10(float(error)))
    if error == 0.0 or not -_LONGEST < digits < _LONGEST:
        return f"{float(value):.3g} ± {float(error):.1g}"
    decimals = max(digits, 0)
    return f"{round(float(value), digits):,.{decimals}f} ± {round(float(error), digits):,.{decimals}f}"


def _number(value: Tensor) -> str:
    return f"{float(value):.3g}" if value.isfinite() else "-"


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
