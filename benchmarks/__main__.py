"""`python -m benchmarks`: all of them at short settings, each in a process of its own."""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measuring import OUTPUT

SHORT: dict[str, tuple[str, ...]] = {
    "fit": ("--seconds=1.5", "--rounds=3", "--clock=cpu"),
    "floor": (),
    "estimators": ("--steps=3", "--rounds=3"),
    "diagnostics": ("--steps=100", "--times=8", "--rounds=2"),
    "memory": ("--points=3",),
    "scaling": ("--rows=30000", "--rounds=1"),
    "startup": ("--rounds=2",),
    "default_run": ("--rounds=1",),
    "images": (),
}
"""The options of each; `python -m benchmarks.NAME --help` explains them."""
WITH_FIGURE = ("memory",)
"""Those whose figure is shown beside their tables."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs every benchmark, whether or not others fail; returns the largest exit code."""
    made = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, allow_abbrev=False)
    made.add_argument("--only", nargs="+", choices=SHORT, default=list(SHORT), metavar="NAME")
    made.add_argument(
        "--tables",
        type=Path,
        default=OUTPUT,
        help="folder of the tables in Markdown and of figures; `make bench` gives that of the documentation",
    )
    options = made.parse_args(arguments)
    codes = []
    for name in options.only:
        print(f"benchmarks.{name} {' '.join(SHORT[name])}", flush=True)
        start = time.perf_counter()
        files = [f"--output={OUTPUT / name}.json", f"--table={options.tables / name}.md"]
        if name in WITH_FIGURE:
            files.append(f"--figure={options.tables / name}.png")
        command = [sys.executable, "-m", f"benchmarks.{name}", *SHORT[name], *files]
        codes.append(subprocess.run(command, check=False).returncode)
        print(f"benchmarks.{name}: {time.perf_counter() - start:.0f} seconds, exit code {codes[-1]}", flush=True)
        if codes[-1] == 0:
            print(*missed(OUTPUT / f"{name}.json"), sep="", end="", flush=True)
    return max(codes)


def missed(file: Path) -> list[str]:
    """A line for each target that a benchmark's file of numbers says was missed."""
    targets = json.loads(file.read_text(encoding="utf-8"))["targets"]
    return [
        f"missed: {target['name']} is {target['measured']:.3g}, the target {target['target']:g}\n"
        for target in targets
        if not target["met"]
    ]


if __name__ == "__main__":
    sys.exit(main())
