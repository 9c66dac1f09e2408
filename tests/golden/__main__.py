"""`python -m tests.golden`: renews the golden numbers and the public surface, and prints what has changed."""

import difflib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.golden import costs, curves, surface

HERE = Path(__file__).parent


def leaves(content: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """The numbers of nested dictionaries and lists, by their path."""
    if isinstance(content, int | float):
        yield name, content
        return
    members = content.items() if isinstance(content, dict) else enumerate(content, start=1)
    for key, member in members:
        yield from leaves(member, f"{name} {key}".strip())


def renew(name: str, found: dict[str, Any]) -> None:
    """Writes numbers, and prints those that have changed."""
    file = HERE / f"{name}.json"
    before = dict(leaves(json.loads(file.read_text(encoding="utf-8")))) if file.exists() else {}
    after = dict(leaves(found))
    for path in dict.fromkeys([*before, *after]):
        if before.get(path) != after.get(path):
            print(f"{name}: {path}: was {before.get(path, 'not there')}, is {after.get(path, 'gone')}")
    file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def renew_lines(part: str, found: list[str]) -> None:
    """Writes a part of the public surface, and prints the lines that have gone and come."""
    file = HERE / f"{part}.txt"
    before = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    for line in difflib.unified_diff(before, found, lineterm="", n=0):
        if not line.startswith(("---", "+++", "@@")):
            print(f"{part}: {line}")
    file.write_text("\n".join(found) + "\n", encoding="utf-8")


if __name__ == "__main__":
    renew("curves", {file.stem: curves.curve(file) for file in curves.embedded()})
    with tempfile.TemporaryDirectory() as scratch:
        renew("costs", {model: costs.costs(case, Path(scratch)) for model, case in costs.MODELS.items()})
        for part, lines in surface.surface(Path(scratch)).items():
            renew_lines(part, lines)
    for file, text in surface.said_early().items():
        file.write_text(text, encoding="utf-8")
