"""The state of a process that training changes: random streams, threads, flags of torch, log levels, warnings."""

import logging
import os
import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

_CHATTY = ("lightning.pytorch", "lightning.fabric", "pytorch_lightning", "pytorch_lightning.utilities.rank_zero")


@contextmanager
def unchanged_globals() -> Iterator[None]:
    """At the end every generator, flag, log level and warnings filter of this process is as it was at the beginning."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - it is the global one that is kept
    threads, dtype, environment = torch.get_num_threads(), torch.get_default_dtype(), dict(os.environ)
    deterministic, warn_only = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    cudnn = (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic)
    levels = {name: logging.getLogger(name).level for name in _CHATTY}
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices), warnings.catch_warnings(), torch.enable_grad():
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)
            torch.set_default_dtype(dtype)
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
            torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = cudnn
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
            for name in [name for name in os.environ if name not in environment]:
                del os.environ[name]
            os.environ.update(environment)


def seed_everything(seed: int) -> None:
    """Seeds the generators of torch, numpy and Python."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)


def quiet() -> None:
    """Silences what Lightning says at every start and is known here: the device, that the data need no workers."""
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", ".*isinstance.treespec, LeafSpec.*", FutureWarning)
    warnings.filterwarnings("ignore", category=UserWarning, module="lightning")
