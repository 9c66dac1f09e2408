"""The random generators of a process: their state, and draws that leave them as they were."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def random_state() -> dict[str, Any]:
    """The states of torch's, numpy's and Python's own generators, in what `weights_only=True` loads."""
    _, key, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002 - the global one is what is kept
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
        "numpy": [torch.from_numpy(np.asarray(key, dtype=np.int64)), position, has_gauss, cached],
        "python": random.getstate(),
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Restores a state that `random_state` returned."""
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
    key, position, has_gauss, cached = state["numpy"]
    np.random.set_state(("MT19937", key.numpy().astype(np.uint32), position, has_gauss, cached))  # noqa: NPY002
    random.setstate(state["python"])


def seed_everything(seed: int) -> None:
    """Seeds the generators of torch, numpy and Python."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)


def seed_generator(device: torch.device, seed: int) -> None:
    """Seeds the CPU's generator, and the device's; those of other GPUs stay as they are."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


def generator_state(device: torch.device) -> list[torch.Tensor]:
    """The states of the CPU's generator and, where that is a GPU, the device's."""
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]


@contextmanager
def forked_generator(device: torch.device, seed: int | None = None) -> Iterator[None]:
    """Restores the CPU's generator, and the device's, at the end; inside, they start from `seed` if one is given."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        if seed is not None:
            seed_generator(device, seed)
        yield


@contextmanager
def forked_everywhere() -> Iterator[None]:
    """Restores the CPU's generator, and that of the present GPU if CUDA is in use, at the end."""
    devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        yield


@contextmanager
def unchanged_streams(seed: int | None = None) -> Iterator[None]:
    """Restores torch's, numpy's and Python's generators at the end; inside, they start from `seed` if one is given."""
    state = random.getstate(), np.random.get_state()  # noqa: NPY002 - the global one is what others draw from
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        try:
            if seed is not None:
                random.seed(seed)
                np.random.seed(seed)  # noqa: NPY002
                torch.default_generator.manual_seed(seed)
                if devices:
                    torch.cuda.manual_seed_all(seed)
            yield
        finally:
            random.setstate(state[0])
            np.random.set_state(state[1])  # noqa: NPY002
