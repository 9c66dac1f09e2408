"""The way out that a refusal names."""

import subprocess
from pathlib import Path

import pytest

from reparam_suite.versions.errors import COMMIT, WAY_OUT, EarlierVersionError

ROOT = Path(__file__).parents[2]


def test_the_message_ends_with_the_way_out():
    assert str(EarlierVersionError("model: expected A, got B")) == f"model: expected A, got B; {WAY_OUT}"


def test_the_commit_that_it_names_is_that_of_version_0_1_0():
    file = f"{COMMIT}:src/reparam_suite/training/checkpoint_files.py"
    shown = subprocess.run(["git", "show", file], cwd=ROOT, capture_output=True, text=True, check=False)
    if shown.returncode:
        pytest.skip("the history of the project is not here")
    assert "\nFORMAT = 2\n" in shown.stdout
