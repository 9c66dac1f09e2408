"""Names reach a terminal as text: no markup, no control characters."""

import io

import pytest
from rich.console import Console
from rich.table import Table

from reparam_suite.runtime.terminal import TextConsole, as_text, printable

NAME = "[red]a[/red]\x1b[31m\x07\u202eb"
SHOWN = "[red]a[/red]\\x1b[31m\\x07\\u202eb"


@pytest.mark.parametrize("wrap", [lambda name: name, as_text], ids=["str", "as_text"])
def test_a_name_is_shown_as_it_is(wrap):
    out = io.StringIO()
    console = TextConsole(file=out, width=200, force_terminal=True)
    console.print(wrap(NAME))
    table = Table("", title=wrap(NAME))
    table.add_column(wrap(NAME))
    table.add_row("", wrap(NAME))
    console.print(table)
    assert out.getvalue().count(SHOWN) == 4
    assert "\x1b[31m" not in out.getvalue()


def test_as_text_holds_on_any_console():
    out = io.StringIO()
    Console(file=out, width=200).print(as_text(NAME, "bold"))
    assert out.getvalue() == SHOWN + "\n"


def test_lines_stay_lines():
    assert printable("a\tb\nc é") == "a\tb\nc é"
