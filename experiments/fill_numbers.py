"""The numbers in the documentation's text, from the files that the experiments write.

    python -m experiments.fill_numbers

A page has <span data-number="toy_gaussian pathwise/exact_variance .0f">4</span> where the number at that path of
docs/measured/experiments/toy_gaussian.json belongs, in that format.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from experiments.presenting import MEASURED

DOCS = Path(__file__).parents[1] / "docs"
PAGES = (DOCS / "why_the_trick.md", DOCS / "es" / "why_the_trick.md")

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


def count(text: str) -> int:
    """How many numbers the page takes from files."""
    return len(_NUMBER.findall(text))


def main() -> None:
    """Writes the pages anew."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        page.write_text(filled(text), encoding="utf-8")
        print(f"{page.relative_to(DOCS.parent)}: {count(text)} numbers")


if __name__ == "__main__":
    main()
