"""Steps after training are shown by name: a line each at their end."""

import io
import re

import pytest
from rich.console import Console

from reparam_suite.running.stages import shown_on, silent


@pytest.mark.parametrize("terminal", [False, True])
def test_a_step_is_a_line_with_its_time(terminal):
    console = Console(file=io.StringIO(), force_terminal=terminal, color_system=None, width=80)
    stage = shown_on(console)
    with stage("figures"):
        assert "figures  " not in console.file.getvalue()
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", console.file.getvalue())  # without what moves the cursor
    assert re.search(r"^figures {17}\d+\.\d s$", shown, re.MULTILINE)


def test_a_step_that_fails_has_no_line():
    console = Console(file=io.StringIO(), width=80)
    with pytest.raises(ZeroDivisionError), shown_on(console)("figures"):
        raise ZeroDivisionError
    with silent("figures"):
        pass
    assert console.file.getvalue() == ""
