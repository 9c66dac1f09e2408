"""A command before and after its imports, in a process of its own."""

import subprocess
import sys

PROGRAM = """
import gc, os, signal, sys
from reparam_suite.runtime.program import begin, run
begin("fit")
assert not gc.isenabled()
assert "scipy.signal" in sys.modules
import rich.console

def main():
    assert gc.isenabled()
    assert gc.get_freeze_count() > 1000 > len(gc.get_objects())
    return 3

if sys.argv[1:]:
    os.kill(os.getpid(), signal.SIGTERM)
run(main)
"""


def ended(*args):
    return subprocess.run([sys.executable, "-c", PROGRAM, *args], capture_output=True, text=True, check=False)


def test_what_was_imported_is_not_looked_through_again():
    done = ended()
    assert (done.returncode, done.stderr) == (3, "")


def test_a_signal_during_the_imports_ends_it_with_a_line():
    done = ended("terminated")
    assert (done.returncode, done.stderr) == (143, "reparam_suite.fit: terminated\n")
