"""A table of means and spreads: as a DataFrame, on the terminal, in LaTeX, Markdown and CSV."""

import io
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

from rich.table import Table as TerminalTable

from reparam_suite.runtime.terminal import TextConsole

if TYPE_CHECKING:
    from pandas import DataFrame, Series

_WIDTH = 80
_NAME_WIDTH = 24

_LATEX = {"&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}"}


@final
@dataclass(frozen=True)
class Column:
    """A metric of the table.

    Args:
        metric: its name.
        smallest_is_best: which value is set in bold.
    """

    metric: str
    smallest_is_best: bool


@final
@dataclass(frozen=True, eq=False)
class Table:
    """Means over runs with their spread, the best mean of each metric in bold.

    Attributes:
        frame: one row per row of the table: its arguments, of each metric mean and spread, and the number of runs, n.
        labels: columns of the arguments.
        columns: the metrics.
        spread: "std" or "standard_error".
    """

    frame: "DataFrame"
    labels: tuple[str, ...]
    columns: tuple[Column, ...]
    spread: str

    def __str__(self) -> str:
        """The table in at most 80 columns; long names wrap."""
        shown = TerminalTable(caption=self._caption, caption_justify="left")
        for title in (*self.labels, *self._titles, "n"):
            shown.add_column(_broken(title), justify="left" if title in self.labels else "right", overflow="fold")
        for row in self._rows(lambda text: f"{text} *"):
            shown.add_row(*map(_broken, row))
        out = io.StringIO()
        TextConsole(file=out, width=_WIDTH, color_system=None).print(shown)
        return out.getvalue().rstrip("\n")

    def to_latex(self) -> str:
        """A tabular environment with the rules of booktabs."""
        header = [*map(_latex, [*self.labels, *self._titles]), "$n$"]
        lines = [" & ".join(header), *[" & ".join(row) for row in self._rows(_bold_latex, _latex, _latex_number)]]
        layout = "l" * len(self.labels) + "r" * (len(self.columns) + 1)
        body = [f"{line} \\\\" for line in lines]
        return "\n".join(
            [
                rf"\begin{{tabular}}{{{layout}}}",
                r"\toprule",
                body[0],
                r"\midrule",
                *body[1:],
                r"\bottomrule",
                r"\end{tabular}",
            ]
        )

    def to_markdown(self) -> str:
        """A table of Markdown."""
        header = [*self.labels, *self._titles, "n"]
        rule = [":---"] * len(self.labels) + ["---:"] * (len(self.columns) + 1)
        rows = self._rows(lambda text: f"**{text}**", lambda text: text.replace("|", r"\|"))
        return "\n".join(f"| {' | '.join(row)} |" for row in [header, rule, *rows])

    def to_csv(self, path: str | Path) -> None:
        """Writes the frame, with all digits."""
        self.frame.to_csv(path, index=False)

    @property
    def _titles(self) -> list[str]:
        return [column.metric for column in self.columns]

    @property
    def _caption(self) -> str:
        spread = "standard deviation" if self.spread == "std" else "standard error"
        return f"mean ± {spread} over n runs; * the best of its column"

    def _rows(
        self,
        bold: Callable[[str], str],
        label: Callable[[str], str] = str,
        number: Callable[[str], str] = str,
    ) -> list[list[str]]:
        best = {column.metric: _best(self.frame[column.metric], column) for column in self.columns}
        rows = []
        for position, entry in enumerate(self.frame.to_dict("records")):
            cells = [label(_shown(entry[name])) for name in self.labels]
            for column in self.columns:
                text = number(_with_spread(entry[column.metric], entry[f"{column.metric} {self.spread}"]))
                cells.append(bold(text) if position == best[column.metric] else text)
            rows.append([*cells, str(entry["n"])])
        return rows


def _best(means: "Series[float]", column: Column) -> int | None:
    # The position of the best mean; None where there is nothing to compare.
    finite = [(mean, position) for position, mean in enumerate(means) if math.isfinite(mean)]
    if len(finite) < 2:
        return None
    return (min(finite) if column.smallest_is_best else max(finite))[1]


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _with_spread(mean: float, spread: float) -> str:
    # As many digits as the spread has two of.
    if not math.isfinite(mean):
        return "-" if math.isnan(mean) else str(mean)
    if not math.isfinite(spread) or spread == 0.0:
        return f"{mean:.4g}"
    spread = float(f"{spread:.1e}")
    decimals = 1 - math.floor(math.log10(spread))
    if abs(mean) >= 1e5 or (abs(mean) < 1e-3 and spread < 1e-3):
        exponent = math.floor(math.log10(max(abs(mean), spread)))
        digits = max(0, decimals + exponent)
        scale = 10.0**exponent
        return f"({mean / scale:.{digits}f} ± {spread / scale:.{digits}f})e{exponent}"
    return f"{mean:.{max(0, decimals)}f} ± {spread:.{max(0, decimals)}f}"


def _latex(text: str) -> str:
    return re.sub(r"[&%$#_{}~]", lambda found: _LATEX[found[0]], text)


def _latex_number(text: str) -> str:
    power = re.sub(r"e(-?\d+)$", r" \\times 10^{\1}", text)
    return f"${power.replace('±', chr(92) + 'pm')}$" if text != "-" else text


def _bold_latex(text: str) -> str:
    return rf"$\mathbf{{{text.strip('$')}}}$"


def _broken(text: str) -> str:
    # In lines of at most `_NAME_WIDTH`, broken behind a slash, a comma or an opening bracket.
    lines = [""]
    for piece in re.split(r"(?<=[/(,])", text):
        if lines[-1] and len(lines[-1]) + len(piece.strip()) > _NAME_WIDTH:
            lines.append("")
        lines[-1] += piece if lines[-1] else piece.lstrip()
    return "\n".join(line.rstrip() for line in lines)
