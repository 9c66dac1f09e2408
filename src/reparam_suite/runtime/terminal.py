"""Text on a terminal: names and paths are shown as they are, and do nothing to it."""

import os
import sys
from typing import Any, final

from rich.console import Console
from rich.text import Text
from typing_extensions import override


@final
class TextConsole(Console):
    """A console on which a string is text: brackets in it are no markup, and control characters are shown escaped.

    Args:
        options: of rich's Console.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"highlight": False, "markup": False, **options})

    @override
    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable(text), **options)


def show(page: str) -> None:
    """Prints a page to stdout; a reader that goes before its end, as `head` does, misses the rest."""
    try:
        sys.stdout.write(f"{page}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or Python complains at its end


def as_text(text: str, style: str = "") -> Text:
    """A string for a table or a line of any console."""
    return Text(printable(text), style)


def printable(text: str) -> str:
    r"""A text in which characters that would move the cursor, or change colours, are escaped; lines stay lines.

    >>> printable("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    return "".join(each if each.isprintable() or each in "\n\t" else repr(each)[1:-1] for each in text)
