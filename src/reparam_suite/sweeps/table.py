"""A table of means and spreads: as a DataFrame, on the terminal, in LaTeX, Markdown and CSV."""

import io
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, final

from rich.console import JustifyMethod
from rich.table import Table as TerminalTable

from reparam_suite.comparison.significance import SIGNIFICANCE
from reparam_suite.runtime.errors import ArgumentValueError
from reparam_suite.runtime.terminal import TextConsole

if TYPE_CHECKING:
    from pandas import DataFrame

_WIDTH = 80
_NAME_WIDTH = 24

_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
}


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

    def best(self, means: Sequence[float]) -> int | None:
        """The position of the best mean; None where there are not two to compare."""
        finite = [(mean, position) for position, mean in enumerate(means) if math.isfinite(mean)]
        if len(finite) < 2:
            return None
        return (min(finite) if self.smallest_is_best else max(finite))[1]


@final
@dataclass(frozen=True, eq=False)
class Table:
    """Means over runs with their spread, the best mean of each metric in bold.

    A dagger marks means that are not significantly worse than the best: by Welch's t-test of each against the best,
    two-sided, with Holm's correction, at 5 %. Rows of a single run are not tested.

    Attributes:
        frame: one row per row of the table: its arguments; of each metric the mean, the spread and the corrected
            p-value against the best; and the number of runs, n.
        labels: columns of the arguments.
        columns: the metrics.
        spread: "std" or "standard_error".
        titles: name of an argument or a metric -> its heading; others stand under their names. LaTeX has a heading with
            a backslash or a dollar sign as it is.

    Raises:
        ValueError: if there is a title for something else.
    """

    frame: "DataFrame"
    labels: tuple[str, ...]
    columns: tuple[Column, ...]
    spread: str
    titles: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_titles(self.titles, [*self.labels, *(column.metric for column in self.columns)])

    def __str__(self) -> str:
        """The table in at most 80 columns; long names wrap."""
        shown = TerminalTable(caption=self.caption, caption_justify="left")
        for position, title in enumerate((*self._headings, "n")):
            justify: JustifyMethod = "left" if position < len(self.labels) else "right"
            shown.add_column(_broken(title), justify=justify, overflow="fold")
        for row in self._rows(lambda text: f"{text} *", alike=lambda text: f"{text} †"):
            shown.add_row(*map(_broken, row))
        out = io.StringIO()
        TextConsole(file=out, width=_WIDTH, color_system=None).print(shown)
        return out.getvalue().rstrip("\n")

    def to_latex(self) -> str:
        """A tabular environment with the rules of booktabs."""
        header = [*(title if re.search(r"[\\$]", title) else _latex(title) for title in self._headings), "$n$"]
        lines = [" & ".join(header), *map(" & ".join, self._rows(_bold_latex, _latex, _latex_number, _alike_latex))]
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
        header = [*(_cell(title) for title in self._headings), "n"]
        rule = [":---"] * len(self.labels) + ["---:"] * (len(self.columns) + 1)
        rows = self._rows(lambda text: f"**{text}**", _cell, alike=lambda text: f"{text} †")
        return "\n".join(f"| {' | '.join(row)} |" for row in [header, rule, *rows])

    def to_csv(self, path: str | Path) -> None:
        """Writes the frame, with all digits."""
        self.frame.to_csv(path, index=False)

    def write(self, path: str | Path) -> None:
        """Writes the table in the form that the file's name asks for: .tex, .md or .csv.

        Raises:
            ValueError: if it ends otherwise, or cannot be written.
        """
        check_form(path)
        try:
            if Path(path).suffix == ".csv":
                self.to_csv(path)
                return
            text = self.to_latex() if Path(path).suffix == ".tex" else self.to_markdown()
            Path(path).write_text(f"{text}\n", encoding="utf-8")
        except OSError as error:
            raise ArgumentValueError(f"output: expected a file that can be written, got {path}: {error}") from error

    @property
    def _headings(self) -> list[str]:
        return [self.titles.get(name, name) for name in (*self.labels, *(column.metric for column in self.columns))]

    @property
    def caption(self) -> str:
        """The meaning of the numbers and marks."""
        spread = "standard deviation" if self.spread == "std" else "standard error"
        told = f"mean ± {spread} over n runs; * the best of its column"
        return f"{told}; † not significantly worse (Welch, Holm, 5 %)" if self._any_alike else told

    @property
    def _any_alike(self) -> bool:
        return any((self.frame[f"{column.metric} p"] >= SIGNIFICANCE).any() for column in self.columns)

    def _rows(
        self,
        bold: Callable[[str], str],
        label: Callable[[str], str] = str,
        number: Callable[[str], str] = str,
        alike: Callable[[str], str] = str,
    ) -> list[list[str]]:
        best = {column.metric: column.best(list(self.frame[column.metric])) for column in self.columns}
        rows = []
        for position, entry in enumerate(self.frame.to_dict("records")):
            cells = [label(_shown(entry[name])) for name in self.labels]
            for column in self.columns:
                text = number(_with_spread(entry[column.metric], entry[f"{column.metric} {self.spread}"]))
                if position == best[column.metric]:
                    text = bold(text)
                elif entry[f"{column.metric} p"] >= SIGNIFICANCE:
                    text = alike(text)
                cells.append(text)
            rows.append([*cells, str(entry["n"])])
        return rows


def check_form(path: str | Path) -> None:
    """Refuses a file whose name is that of no form of a table, or whose directory is missing.

    Raises:
        ValueError: naming the forms.
    """
    if Path(path).suffix not in (".tex", ".md", ".csv"):
        raise ArgumentValueError(f"output: expected a file that ends in .tex, .md or .csv, got {path}")
    if not Path(path).absolute().parent.is_dir():
        raise ArgumentValueError(f"output: expected a file in a directory that exists, got {path}")


def check_titles(titles: Iterable[str], known: Collection[str]) -> None:
    """Refuses titles of what a table does not have.

    Raises:
        ValueError: naming what it has.
    """
    for name in titles:
        if name not in known:
            raise ArgumentValueError(f"titles: expected names of rows or columns ({', '.join(known)}), got {name}")


def _shown(value: object) -> str:
    # A combination may lack an option that others have.
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
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


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def _latex(text: str) -> str:
    return re.sub(r"[&%$#_{}~^\\]", lambda found: _LATEX[found[0]], " ".join(text.split()))


def _latex_number(text: str) -> str:
    power = re.sub(r"e([+-]?\d+)$", lambda found: rf" \times 10^{{{int(found[1])}}}", text)
    return f"${power.replace('±', chr(92) + 'pm')}$" if text != "-" else text


def _bold_latex(text: str) -> str:
    return rf"$\mathbf{{{text.strip('$')}}}$"


def _alike_latex(text: str) -> str:
    return rf"{text}\dag"


def _broken(text: str) -> str:
    # In lines of at most `_NAME_WIDTH`, broken behind a slash, a comma, an opening bracket or the dot of an option.
    lines = [""]
    for piece in re.split(r"(?<=[/(,])|(?<=[a-z]\.)", text):
        if lines[-1] and len(lines[-1]) + len(piece.strip()) > _NAME_WIDTH:
            lines.append("")
        lines[-1] += piece if lines[-1] else piece.lstrip()
    return "\n".join(line.rstrip() for line in lines)
