"""The table that a command prints of finished runs."""

import re
from collections.abc import Sequence

from rich.table import Table

from reparam_suite.running import Result
from reparam_suite.runtime.terminal import as_text

_LINES = {
    "test ELBO": ("test/elbo", ".2f"),
    "KL": ("test/kl", ".2f"),
    "validation ELBO": ("val/elbo", ".2f"),
    "ms per step": ("time/ms_per_step", ".2f"),
}
MOST = 1e6
"""Larger values are shown in scientific form."""

_OF_A_PART = {
    "gradient variance": ("variance", ".3g"),
    "work-normalised": ("work_normalized_variance", ".3g"),
}


def results_table(results: Sequence[Result]) -> Table:
    """Values of finished runs, in nats: a line per quantity, a column per run."""
    metrics = results[0].metrics
    lines = {label: line for label, line in _LINES.items() if line[0] in metrics}
    for name in metrics:
        if found := re.fullmatch(r"test/bound_(\d+)(_from_\d+)?", name):
            lines[f"test bound, K = {int(found[1]):,}"] = (name, ".2f")
        elif found := re.fullmatch(r"grad/(\w+)/data_variance", name):  # a part, and no variational parameter
            for label, (what, form) in _OF_A_PART.items():
                if (measured := f"grad/{found[1]}/{what}") in metrics:
                    lines[f"{label}, {found[1]}"] = (measured, form)
        elif name.startswith(("val/", "test/")) and "elbo" not in metrics and "val/elbo" not in metrics:
            lines[name] = (name, ".4g")
    table = Table(title="Results, in nats", title_justify="left", title_style="bold")
    table.add_column("", no_wrap=True)
    for result in results:
        table.add_column(as_text(result.name if len(results) == 1 else f"seed {result.seed}"), justify="right")
    table.add_row("steps", *[f"{result.num_steps:,}" for result in results])
    for label, (name, form) in lines.items():
        table.add_row(
            label, *[_shown(result.metrics[name], form) if name in result.metrics else "-" for result in results]
        )
    return table


def _shown(value: float, form: str) -> str:
    # Of a run that has diverged, values may have three dozens of digits.
    return format(value, form if abs(value) < MOST else ".3g")
