"""One folder for all examples, whose database is made once; what a program changes in the process is restored."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.launching import ended_sooner, undrawn
from torch.distributions import Distribution


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """The working directory of the programs and notebooks."""
    return tmp_path_factory.mktemp("examples")


@pytest.fixture
def working_directory(folder, monkeypatch) -> Iterator[Path]:
    """`folder`, entered; random generators, environment and argument validation are afterwards as they were.

    Runs record no figures of their own: a program draws those that it shows itself.
    """
    monkeypatch.chdir(folder)
    monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)  # so that it is removed again
    states = random.getstate(), np.random.get_state()  # noqa: NPY002 - the global generator itself
    validates = Distribution._validate_args  # zuko switches it off for the whole process
    with torch.random.fork_rng(), ended_sooner(), undrawn():
        torch.manual_seed(0)
        yield folder
    random.setstate(states[0])
    np.random.set_state(states[1])  # noqa: NPY002
    Distribution.set_default_validate_args(validates)
