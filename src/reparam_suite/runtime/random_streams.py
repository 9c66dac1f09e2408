"""Draws that leave the training's random streams as they were."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def forked_generator(device: torch.device, seed: int | None = None) -> Iterator[None]:
    """Restores the CPU's generator, and the device's, at the end; inside, they start from `seed` if one is given."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        if seed is not None:
            torch.manual_seed(seed)
        yield


@contextmanager
def forked_everywhere() -> Iterator[None]:
    """Restores the CPU's generator, and that of the present GPU if CUDA is in use, at the end."""
    devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        yield
