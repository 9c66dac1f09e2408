"""The table that a command prints of finished runs."""

import re
import statistics
from collections.abc import Iterator, Mapping, Sequence

from rich.table import Table

from reparam_suite.running import Result
from reparam_suite.runtime.terminal import as_text

MOST = 1e6
"""Larger values are shown in scientific form."""

_SEEDS = 3
"""Runs that have a column each; of more of them, mean, standard deviation and range are shown."""

_OF_A_PART = {
    "gradient variance": ("variance", ".3g"),
    "variance x ms": ("work_normalized_variance", ".3g"),
}

Line = tuple[str, str, str]
"""Label, name of the metric, format."""


def results_table(results: Sequence[Result]) -> Table:
    """Values of finished runs: a line per quantity, test first; a column per run, with several of them mean and std."""
    table = Table(title="Results (bounds in nats)", title_justify="left", title_style="bold")
    table.add_column("", no_wrap=True)
    shown = results if len(results) <= _SEEDS else []
    for result in shown:
        head = as_text(result.name if len(results) == 1 else f"seed {result.seed}")
        table.add_column(head, justify="right", overflow="fold")
    for label in _spread_labels(len(results)):
        table.add_column(label, justify="right")
    for label, name, form in _lines(results[0].metrics):
        values = [result.metrics.get(name) for result in results]
        cells = [_shown(value, form) for value in values] if shown else []
        table.add_row(label, *cells, *_spread([value for value in values if value is not None], form, len(results)))
    steps = [result.num_steps for result in results]
    cells = [f"{number:,}" for number in steps] if shown else []
    table.add_row("steps", *cells, *_spread([float(number) for number in steps], ",.0f", len(results)))
    return table


def _lines(metrics: Mapping[str, float]) -> Iterator[Line]:
    bounds = [
        (f"test bound, K = {int(found[1]):,}", name, ".2f")
        for name in metrics
        if (found := re.fullmatch(r"test/bound_(\d+)(_from_\d+)?", name))
    ]
    known: list[Line] = [("test ELBO", "test/elbo", ".2f"), *bounds, ("test KL", "test/kl", ".2f")]
    known += [("test bits per dimension", "test/bits_per_dim", ".3f")]
    if "val/elbo" not in metrics:
        known += [(name, name, ".4g") for name in metrics if name.startswith("test/") and _is_value(name)]
        known += [(name, name, ".4g") for name in metrics if name.startswith("val/") and _is_value(name)]
    for name in metrics:
        if name.startswith("val/") and name.endswith("_best"):
            of = "validation ELBO" if name == "val/elbo_best" else name.removesuffix("_best")
            known += [(f"best {of}", name, ".2f"), ("  at step", f"{name}_step", ",.0f")]
    known += [("last validation ELBO", "val/elbo", ".2f"), ("ms per step", "time/ms_per_step", ".2f")]
    known += [("seconds of compilation", "time/compile_seconds", ".1f")]
    for name in metrics:
        if found := re.fullmatch(r"grad/(\w+)/data_variance", name):  # a part, and no variational parameter
            known += [
                (f"{label}, {found[1]}", f"grad/{found[1]}/{what}", form) for label, (what, form) in _OF_A_PART.items()
            ]
    yield from dict.fromkeys(line for line in known if line[1] in metrics)


def _is_value(name: str) -> bool:
    return not name.endswith(("_best", "_best_step", "_standard_error")) and "/bound_" not in name


def _spread_labels(num_runs: int) -> list[str]:
    if num_runs == 1:
        return []
    return ["mean", "std"] if num_runs <= _SEEDS else ["mean", "std", "lowest", "highest"]


def _spread(values: Sequence[float], form: str, num_runs: int) -> list[str]:
    if num_runs == 1:
        return []
    cells = [
        _shown(statistics.fmean(values) if values else None, form),
        _shown(statistics.stdev(values) if len(values) > 1 else None, ".2g"),
    ]
    if num_runs > _SEEDS:
        cells += [_shown(extreme(values) if values else None, form) for extreme in (min, max)]
    return cells


def _shown(value: float | None, form: str) -> str:
    # Of a run that has diverged, values may have three dozens of digits.
    return "-" if value is None else format(value, form if abs(value) < MOST else ".3g")
