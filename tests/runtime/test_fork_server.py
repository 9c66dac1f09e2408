"""The server that workers are forked from, beside the imports of the command that will need it."""

import subprocess
import sys

import pytest

# A command that is refused, interrupted, or ends while its server is still importing.
PROGRAM = """
import os, signal, sys
from reparam_suite.runtime import fork_server
from reparam_suite.runtime.program import begin, run

fork_server._PRELOADED[:] = ["endless"]
begin("sweep", workers=True)
{then}
"""
ENDLESS = "import time\ntime.sleep(3600)\n"


@pytest.mark.parametrize(
    ("then", "code", "told"),
    [
        ("sys.exit(2)", 2, ""),
        ("run(lambda: 1)", 1, ""),
        ("os.kill(os.getpid(), signal.SIGTERM)", 143, "reparam_suite.sweep: terminated\n"),
        ("os.kill(os.getpid(), signal.SIGINT)", 130, "reparam_suite.sweep: interrupted\n"),
    ],
)
def test_it_ends_with_its_command_in_the_middle_of_its_imports(tmp_path, monkeypatch, then, code, told):
    (tmp_path / "endless.py").write_text(ENDLESS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    # The server has the same pipes: as long as it lives, they are not at their end.
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(then=then)], capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stderr) == (code, told)
