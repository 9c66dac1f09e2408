"""The report of a comparison of gradients: a table on the screen, and the same numbers as CSV and JSON."""

import csv
import io
import math
from collections.abc import Iterator, Mapping
from typing import Any, final

from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import Tensor

from reparam_suite.comparison.gradient_comparison import GradientComparison
from reparam_suite.diagnostics import EstimatorRow, GradientBias, ranked
from reparam_suite.runtime.terminal import as_text

_UNTRAINED, _BIASED = "*", "†"
_LONGEST = 5
"""Digits after the point, or zeros before it, that a table shows."""


@final
class GradientReport:
    """A comparison of gradients, and how it is shown.

    Args:
        comparison: with at least one row.
        order_by: the part by whose work-normalised variance the rows are ordered.
        left_out: reasons of further estimators that were not measured, by expression.
    """

    def __init__(self, comparison: GradientComparison, order_by: str, left_out: Mapping[str, str]) -> None:
        self._comparison = comparison
        self._order_by = order_by
        self._left_out = {**left_out, **comparison.left_out}
        self._ranked = ranked(list(comparison.rows), order_by)

    def records(self) -> list[dict[str, float | int | bool | str]]:
        """A row each, the best first, as plain numbers."""
        return [
            {**row.figures(), "learned_parts": self._comparison.learned_parts[row.name], **self._of_training(row)}
            for row in self._ranked
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
        """The records, their reference, and the estimators that were left out; a number that is not finite is null."""
        return {
            "order_by": self._order_by,
            "num_estimators": self._comparison.num_estimators,
            "reference": self._comparison.reference,
            "reference_relative_error": {name: _plain(error) for name, error in self._reference_errors().items()},
            "rows": [{name: _plain(value) for name, value in record.items()} for record in self.records()],
            "left_out": self._left_out,
        }

    def show(self, console: Console) -> None:
        """Prints a table for each part of the model, in one order, and notes.

        The variational parameters are in the files, and printed if the order is by one of them.
        """
        others = [part for part in self._comparison.parts if part != self._order_by]
        for part in (self._order_by, *others):
            console.print(self._table(part))
        for line in self._notes():
            console.print(line, soft_wrap=True, markup=False)

    def _of_training(self, row: EstimatorRow) -> dict[str, float]:
        # Empty where nothing was trained here at all, so that all rows have the same columns.
        if not self._comparison.training:
            return {}
        cost, before = self._comparison.training.get(row.name), self._comparison.untrained.get(row.name)
        variances = {
            f"{part}/untrained_variance": math.nan if before is None else float(before.statistics[part].variance)
            for part in row.statistics
        }
        return {
            **variances,
            "training_steps": 0 if cost is None else cost.steps,
            "training_evaluations": 0 if cost is None else cost.evaluations,
            "training_milliseconds": 0.0 if cost is None else cost.milliseconds,
        }

    def _table(self, part: str) -> Table:
        title = as_text(f"Gradient with respect to {part}")
        table = Table(title=title, title_justify="left", title_style="bold")
        table.add_column("estimator", overflow="fold", min_width=16)
        costs = ("evaluations", "ms", "MiB") if part == self._order_by else ()
        untrained = ("untrained",) if self._comparison.training else ()
        for name in ("variance x ms", "variance", *untrained, "snr", "bias", "cosine", *costs):
            table.add_column(name, justify="right", overflow="fold")
        for row in self._ranked:
            statistics, bias, cost = row.statistics[part], row.bias.get(part), row.cost
            cells: list[Text | str] = [
                as_text(self._label(row)),
                f"{float(row.work_normalized(part)):.3g}",
                _with_error(statistics.variance, statistics.standard_error),
                *(self._untrained(row, part) for _ in untrained),
                _number(statistics.snr),
                "-" if bias is None else _bias_cell(bias, unbiased=row.unbiased),
                "-" if bias is None else _with_error(bias.cosine, bias.cosine_error),
            ]
            if costs:
                cells += [f"{cost.evaluations:,}", f"{cost.milliseconds:.2f}", f"{cost.peak_bytes / 2**20:.1f}"]
            table.add_row(*cells)
        return table

    def _untrained(self, row: EstimatorRow, part: str) -> str:
        if (before := self._comparison.untrained.get(row.name)) is None:
            return "-"
        return _with_error(before.statistics[part].variance, before.statistics[part].standard_error)

    def _label(self, row: EstimatorRow) -> str:
        own = " (of the checkpoint)" if row.name == self._comparison.own else ""
        untrained = _UNTRAINED if self._comparison.learned_parts[row.name] == "initial" else ""
        return f"{row.name}{own}{untrained}{'' if row.unbiased else _BIASED}"

    def _notes(self) -> Iterator[str]:
        missing = self._comparison.num_estimators - len(self._ranked)
        if missing:
            yield f"{missing} of {self._comparison.num_estimators} estimators were not measured"
        if "initial" in {self._comparison.learned_parts[row.name] for row in self._ranked}:
            yield f"{_UNTRAINED} what it learns or remembers is as it starts, untrained"
        for name, cost in self._comparison.training.items():
            yield (
                f"trained    {name}: {cost.steps:,} steps on the frozen model, {cost.evaluations:,} evaluations per "
                f"datum, {cost.milliseconds:,.0f} ms"
            )
        if not all(row.unbiased for row in self._ranked):
            yield f"{_BIASED} biased: a small variance may be that of another gradient"
        if self._comparison.reference:
            yield f"bias and cosine against {self._comparison.reference}, {self._exactness()}"
        for name, reason in self._left_out.items():
            yield f"left out   {name}: {reason}"

    def _exactness(self) -> str:
        errors = self._reference_errors()
        if not any(errors.values()):
            return "exact"
        parts = self._comparison.parts
        told = ", ".join(f"{100.0 * error:.2g} % ({part})" for part, error in errors.items() if part in parts)
        return f"off by {told} of its length"

    def _reference_errors(self) -> dict[str, float]:
        # Of its length, over the minibatches; every row has the same reference.
        return {
            part: float(bias.reference_error / bias.reference_squared_norm.sqrt())
            for part, bias in self._ranked[0].bias.items()
        }


def _bias_cell(bias: GradientBias, *, unbiased: bool) -> str:
    # |bias| / |reference|, or what the measurement resolves: of an unbiased estimator noise alone can be above that.
    if bias.is_seen and not unbiased:
        return f"{float(bias.relative):.2g}"
    return f"< {bias.resolution:.2g}"


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
