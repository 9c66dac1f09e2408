"""The numbers in the documentation's text, from the files that the experiments write.

    python -m experiments.fill_numbers

A page has <span data-number="toy_gaussian pathwise/exact_variance .0f">4</span> where the number at that path of
docs/measured/experiments/toy_gaussian.json belongs, in that format. README and docs/sweeps.md have tables between two
comments, <!-- 8 x 4 --> with the classes and the number of latents, from docs/measured/reinmax_replication.csv.
"""

import csv
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from experiments.presenting import MEASURED

DOCS = Path(__file__).parents[1] / "docs"
PAGES = (DOCS / "why_the_trick.md", DOCS / "es" / "why_the_trick.md")
TABLES = (DOCS.parent / "README.md", DOCS / "sweeps.md")
REPLICATION = MEASURED.parent / "reinmax_replication.csv"

_TABLE = re.compile(r"(<!-- (\d+) x (\d+) -->\n\n).*?(\n\n<!-- end -->)", re.DOTALL)
_NUMBER = re.compile(r'<span data-number="(\w+) ([\w./]+) (\S+?)">(.*?)</span>', re.DOTALL)


@cache
def _numbers(experiment: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((MEASURED / f"{experiment}.json").read_text(encoding="utf-8"))
    numbers: dict[str, Any] = content["numbers"]
    return numbers


def value(experiment: str, path: str) -> float:
    """The number at a path with slashes; a list's elements have their positions for names.

    Raises:
        KeyError: if there is none.
    """
    found: Any = _numbers(experiment)
    for name in path.split("/"):
        try:
            found = found[int(name)] if isinstance(found, list) else found[name]
        except (KeyError, IndexError):
            raise KeyError(f"docs/measured/experiments/{experiment}.json has no number {path}") from None
    return float(found)


def filled(text: str) -> str:
    """The page with the numbers as they are now."""
    return _NUMBER.sub(
        lambda found: (
            f'<span data-number="{found[1]} {found[2]} {found[3]}">{value(found[1], found[2]):{found[3]}}</span>'
        ),
        text,
    )


def replication(classes: str, latents: str) -> str:
    """The table of so many classes and latents, ours beside the published one, in Markdown.

    Raises:
        KeyError: if there is none.
    """
    with REPLICATION.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if (row["classes"], row["latents"]) == (classes, latents)]
    if not rows:
        raise KeyError(f"docs/measured/reinmax_replication.csv has no row of {classes} x {latents}")
    epochs = sorted({int(row["epoch"]) for row in rows})
    titles = ["estimator", *(f"epoch {epoch}, {whose}" for epoch in epochs for whose in ("ours", "published"))]
    lines = [titles, [":---", *["---:"] * (len(titles) - 1)]]
    for method in dict.fromkeys(row["method"] for row in rows):
        by_epoch = {int(row["epoch"]): row for row in rows if row["method"] == method}
        lines.append([method, *(cell for epoch in epochs for cell in _cells(by_epoch.get(epoch)))])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(row: Mapping[str, str] | None) -> tuple[str, str]:
    if row is None:
        return "", ""
    mean, theirs, spread = (f"{float(row[name]):.2f}" for name in ("mean", "published_mean", "published_std"))
    ours = f"± {float(row['std']):.2f}, n = {row['n']}" if row["std"] else "(one run)"
    return f"{mean} {ours}", f"{theirs} ± {spread}"


def with_replication(text: str) -> str:
    """The page with its tables as they are now."""
    return _TABLE.sub(lambda found: f"{found[1]}{replication(found[2], found[3])}{found[4]}", text)


def count(text: str) -> int:
    """How many numbers the page takes from files."""
    return len(_NUMBER.findall(text))


def main() -> None:
    """Writes the pages anew."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        page.write_text(filled(text), encoding="utf-8")
        print(f"{page.relative_to(DOCS.parent)}: {count(text)} numbers")
    for page in TABLES:
        page.write_text(with_replication(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
