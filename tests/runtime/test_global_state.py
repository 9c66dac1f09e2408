"""The state of the process is at the end as it was at the beginning, whatever happens in between."""

import logging
import os
import random
import warnings

import numpy as np
import pytest
import torch

from reparam_suite.runtime.global_state import quiet, unchanged_globals


def state() -> tuple:
    return (
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_grad_enabled(),
        torch.backends.cudnn.benchmark,
        logging.getLogger("lightning.pytorch").level,
        list(warnings.filters),
        dict(os.environ),
        torch.get_rng_state().tolist(),
        random.getstate(),
        np.random.get_state()[1].tolist(),  # noqa: NPY002 - it is the global one that is kept
    )


def disturb() -> None:
    torch.set_default_dtype(torch.float64)
    torch.use_deterministic_algorithms(mode=True)
    torch.backends.cudnn.benchmark = not torch.backends.cudnn.benchmark
    torch.manual_seed(7)
    random.random()
    np.random.seed(3)  # noqa: NPY002
    quiet()
    os.environ["OF_A_TEST"] = "1"
    os.environ.pop("HOME", None)
    raise RuntimeError("in between")


def test_everything_is_as_it_was_after_an_error_too():
    before = state()
    with pytest.raises(RuntimeError, match="in between"), unchanged_globals():
        disturb()
    assert state() == before


def test_gradients_are_on_within():
    with torch.no_grad():
        with unchanged_globals():
            assert torch.is_grad_enabled()
        assert not torch.is_grad_enabled()


def test_lightning_is_silenced():
    with unchanged_globals():
        quiet()
        assert logging.getLogger("lightning.pytorch").level == logging.ERROR
