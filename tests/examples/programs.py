"""The programs of examples/, run in this process."""

import re
import runpy
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parents[2] / "examples"


def shortened(source: str, constants: dict[str, object]) -> str:
    """`source` with other values of its module constants, one line each."""
    for name, value in constants.items():
        source, count = re.subn(rf"(?m)^{name} = .*$", f"{name} = {value!r}", source)
        assert count == 1, f"{name}: expected one line that assigns it, got {count}"
    return source


def run_program(name: str, folder: Path, **constants: object) -> dict[str, Any]:
    """The names that a program leaves behind, run as the main program from a file in `folder`."""
    file = folder / f"{name}.py"
    file.write_text(shortened((EXAMPLES / f"{name}.py").read_text(), constants))
    return runpy.run_path(str(file), run_name="__main__")
