"""The state of a process that training changes: random streams, threads, flags of torch, log levels, warnings."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from reparam_suite.runtime.random_streams import unchanged_streams

_CHATTY = ("lightning.pytorch", "lightning.fabric", "pytorch_lightning", "pytorch_lightning.utilities.rank_zero")


@contextmanager
def unchanged_globals() -> Iterator[None]:
    """At the end every generator, flag, log level and warnings filter of this process is as it was at the beginning."""
    threads, dtype, environment = torch.get_num_threads(), torch.get_default_dtype(), dict(os.environ)
    deterministic, warn_only = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    cudnn = (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic)
    levels = {name: logging.getLogger(name).level for name in _CHATTY}
    with unchanged_streams(), warnings.catch_warnings(), torch.enable_grad():
        try:
            yield
        finally:
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


def quiet() -> None:
    """Silences what Lightning says at every start and is known here: the device, that the data need no workers."""
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", ".*isinstance.treespec, LeafSpec.*", FutureWarning)
    warnings.filterwarnings("ignore", category=UserWarning, module="lightning")
