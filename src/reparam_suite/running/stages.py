"""The steps after training, shown by name."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console

Stage = Callable[[str], AbstractContextManager[None]]
"""Shows a step of this name as long as its context lasts."""

_WIDTH = 24


@contextmanager
def silent(name: str) -> Iterator[None]:  # noqa: ARG001
    """A step that is not shown."""
    yield


def shown_on(console: Console) -> Stage:
    """Steps with a spinner as long as they last, where there is a terminal, and a line with their time at the end."""

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        began = time.monotonic()
        if console.is_terminal and not console.quiet:
            with console.status(f"{name} ..."):
                yield
        else:
            yield
        console.print(f"{name:<{_WIDTH}}{time.monotonic() - began:.1f} s", markup=False)

    return stage
