"""The console scripts: `reparam-fit` is `python -m reparam_suite.fit`, and so are the others."""

import runpy


def fit() -> None:
    """`reparam-fit`."""
    _run("fit")


def study() -> None:
    """`reparam-study`."""
    _run("study")


def sweep() -> None:
    """`reparam-sweep`."""
    _run("sweep")


def compare() -> None:
    """`reparam-compare`."""
    _run("compare")


def sync() -> None:
    """`reparam-sync`."""
    _run("sync")


def ui() -> None:
    """`reparam-ui`."""
    _run("ui")


def _run(command: str) -> None:
    # As a program: what it does before its imports, it does here as well.
    runpy.run_module(f"reparam_suite.{command}", run_name="__main__", alter_sys=True)
