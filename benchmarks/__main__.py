"""`python -m benchmarks`: all of them at short settings, each in a process of its own; fills the parts of a page."""

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measuring import OUTPUT, Part

PAGE = Path("docs/performance.md")
SHORT: dict[str, tuple[str, ...]] = {
    "fit": ("--seconds=1.5", "--rounds=3", "--clock=cpu"),
    "floor": (),
    "estimators": ("--steps=3", "--rounds=3", f"--figure={OUTPUT}/estimators.png"),
    "diagnostics": ("--steps=100", "--times=8", "--rounds=2"),
    "memory": ("--points=3", "--figure=docs/memory.png"),
    "scaling": ("--rows=30000", "--rounds=1"),
    "startup": ("--rounds=2",),
}
"""The options of each; what they mean is told by `python -m benchmarks.NAME --help`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs each, whatever becomes of the others; the largest exit code."""
    made = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, allow_abbrev=False)
    made.add_argument("--only", nargs="+", choices=SHORT, default=list(SHORT), metavar="NAME")
    made.add_argument("--page", type=Path, default=PAGE, help="with a part for each of them")
    options = made.parse_args(arguments)
    for name in options.only:
        try:
            Part(options.page, name)
        except ValueError as error:
            made.error(f"argument --page: {error}")
    codes = []
    for name in options.only:
        print(f"benchmarks.{name} {' '.join(SHORT[name])}", flush=True)
        start = time.perf_counter()
        output = f"--output={OUTPUT / name}.json"
        command = [sys.executable, "-m", f"benchmarks.{name}", *SHORT[name], output, f"--page={options.page}"]
        codes.append(subprocess.run(command, check=False).returncode)
        print(f"benchmarks.{name}: {time.perf_counter() - start:.0f} seconds, exit code {codes[-1]}", flush=True)
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
