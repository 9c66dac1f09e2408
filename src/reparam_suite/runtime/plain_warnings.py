"""Warnings on a terminal: one line each, without the path and the line of source that Python shows."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def plain_warnings(name: str) -> Iterator[None]:
    """Within this context a warning, of whichever library, is shown as one line that begins with `name`."""
    before = warnings.formatwarning

    def told(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
    ) -> str:
        del category, filename, lineno, line
        return f"{name}: {' '.join(str(message).split())}\n"

    warnings.formatwarning = told
    try:
        yield
    finally:
        warnings.formatwarning = before
