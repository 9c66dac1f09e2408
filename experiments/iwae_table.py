"""How close is the suite to the table of the importance-weighted autoencoder, under a shortened schedule?

    python -m reparam_suite.sweep --config conf/sweeps/iwae_table.yaml --workers 2         trains what is missing
    python -m reparam_suite.sweep --config conf/sweeps/iwae_shortening.yaml --workers 2    the cost of shortening
    python -m experiments.iwae_table                                                       writes the tables of docs

The table is that of Burda, Grosse & Salakhutdinov (2016) with one stochastic layer of 50: log p(x) of binarized MNIST,
estimated with 5,000 samples, for the VAE and the IWAE with K = 1, 5, 50. Results by seed stand in the two files of
docs/measured that the sweeps' configurations name; their rows come from there, and nothing is trained here.
"""

import argparse
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reparam_suite.sweeps.command import command
from reparam_suite.sweeps.grid import Cell, combinations_of

HERE = Path(__file__).parent
SWEEPS = HERE.parent / "conf" / "sweeps"
TABLE, SHORTENING = SWEEPS / "iwae_table.yaml", SWEEPS / "iwae_shortening.yaml"
MEASURED = HERE.parent / "docs" / "measured"
STEPS = 9_840_000
"""Of the published schedule."""

PUBLISHED: Mapping[tuple[str, int], float] = {
    ("ELBO", 1): -86.76,
    ("ELBO", 5): -86.47,
    ("ELBO", 50): -86.35,
    ("ImportanceWeighted", 5): -85.54,
    ("ImportanceWeighted", 50): -84.78,
}
"""Nats by objective and K, with the pathwise gradient."""

_NAMES = {
    ("ELBO", "Pathwise"): "VAE",
    ("ImportanceWeighted", "Pathwise"): "IWAE",
    ("ImportanceWeighted", "StickTheLanding"): "IWAE, DReG",
}


def results_of(file: Path, seeds: Path) -> list[tuple[Cell, list[dict[str, float]]]]:
    """The combinations of a sweep that have results, with those of each seed.

    Args:
        file: of the sweep.
        seeds: the file of results.
    """
    asked = command(["--config", str(file), "--results.file", str(seeds)])
    ledger = asked.settings.results
    assert ledger is not None
    cells = asked.settings.combinations.with_seeds(asked.settings.seeds)
    known = ledger.known(cells)
    combinations = [
        (own[0], [known[cell.key] for cell in own if cell.key in known]) for own in combinations_of(cells).values()
    ]
    return [(cell, results) for cell, results in combinations if results]


def table(found: Sequence[tuple[Cell, Sequence[Mapping[str, float]]]]) -> str:
    """Ours beside the published figures, in Markdown."""
    lines = [["objective", "K", "log p(x), ours", "published", "ELBO, ours", "seeds"], [":---", *["---:"] * 5]]
    for cell, results in found:
        objective, estimator, K = (
            cell.values[f"model.{name}"] for name in ("objective", "estimator", "estimator.num_samples")
        )
        theirs = PUBLISHED.get((objective, K)) if estimator == "Pathwise" else None
        bound, elbo = (_told([own[name] for own in results]) for name in _metrics(results))
        lines.append(
            [
                _NAMES[objective, estimator],
                str(K),
                bound,
                "" if theirs is None else f"{theirs:.2f}",
                elbo,
                str(len(results)),
            ]
        )
    return _markdown(lines)


def shortening(found: Sequence[tuple[Cell, Sequence[Mapping[str, float]]]]) -> str:
    """The VAE with K = 1 by the number of steps, in Markdown."""
    lines = [["schedule divided by", "steps", "log p(x)", "ELBO"], ["---:"] * 4]
    for cell, results in found:
        steps = cell.values["trainer.max_steps"]
        told = (_told([own[name] for own in results]) for name in _metrics(results))
        lines.append([f"{STEPS / steps:,.0f}", f"{steps:,}", *told])
    lines.append(["1, published", f"{STEPS:,}", f"{PUBLISHED['ELBO', 1]:.2f}", ""])
    return _markdown(lines)


def _metrics(results: Sequence[Mapping[str, float]]) -> list[str]:
    # log p(x) has the number of samples and data in its name.
    return sorted(results[0], key=lambda name: "bound" not in name)


def _told(values: Sequence[float]) -> str:
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.2f}{spread}"


def _markdown(lines: Sequence[Sequence[Any]]) -> str:
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes and prints the tables."""
    made = argparse.ArgumentParser(
        prog="python -m experiments.iwae_table", description=__doc__.splitlines()[0], allow_abbrev=False
    )
    made.add_argument("--measured", type=Path, default=MEASURED, help="folder of the files of results by seed")
    made.add_argument("--output", type=Path, default=MEASURED / "iwae_table.md", help="the file of both tables")
    options = made.parse_args(arguments)
    whole = table(results_of(TABLE, options.measured / "iwae_table_seeds.csv"))
    shortened = shortening(results_of(SHORTENING, options.measured / "iwae_shortening_seeds.csv"))
    options.output.write_text(f"{whole}\n{shortened}", encoding="utf-8")
    print(options.output.read_text(encoding="utf-8"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
