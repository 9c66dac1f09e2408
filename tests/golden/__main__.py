"""`python -m tests.golden`: renews the golden numbers, and prints what has changed."""

import json
from pathlib import Path

from tests.golden import curves

HERE = Path(__file__).parent


def renew(file: Path, found: dict[str, list[float]]) -> None:
    """Writes what was found, and prints by name the first step that differs and by how much at most."""
    before = json.loads(file.read_text()) if file.exists() else {}
    for name in sorted({*before, *found}):
        if name not in found or name not in before:
            print(f"{file.name}: {name} is {'gone' if name not in found else 'new'}")
            continue
        changes = [abs(new / old - 1.0) for new, old in zip(found[name], before[name], strict=True)]
        if any(changes):
            first = next(step for step, change in enumerate(changes, start=1) if change)
            print(f"{file.name}: {name} differs from step {first} on, by at most {max(changes):.2g} of its value")
    file.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    renew(HERE / "curves.json", {file.stem: curves.curve(file) for file in curves.embedded()})
