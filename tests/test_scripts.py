"""The console scripts do what `python -m` does, before the imports of a command as well."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from reparam_suite import scripts
from reparam_suite.commands import early

DECLARED = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]


@pytest.mark.parametrize("script", DECLARED)
def test_each_is_a_command(script, warm_python):
    module, _, name = DECLARED[script].partition(":")
    assert (module, script) == (scripts.__name__, f"reparam-{name}")
    warm = "import warnings; warnings.simplefilter('ignore')"  # of a module that is imported already
    program = f"{warm}; from reparam_suite.scripts import {name}; {name}()"
    done = subprocess.run([warm_python, "-c", program, "--bogus"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith((f"reparam_suite.{name}: ", f"reparam_suite {name}: "))
    assert done.stderr.count("\n") == 1


def test_that_of_fit_answers_before_its_imports():
    program = (
        "import sys\n"
        "from reparam_suite.scripts import fit\n"
        "try: fit()\n"
        "finally: print({'torch', 'lightning', 'jsonargparse'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program, "--seed", "one"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "set()\n")
    assert done.stderr == f"reparam_suite.fit: {early.refusal(['--seed', 'one'])}\n"
