"""Collective operations of training processes; a process that is alone is a group of one."""

from collections.abc import Iterable
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

T = TypeVar("T")


def num_processes() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if _together() else 1


def rank() -> int:
    """The number of this process among them, from 0."""
    return distributed.get_rank() if _together() else 0


def total(tensor: Tensor) -> Tensor:
    """The sum over all processes, in each of them. All have to ask for it."""
    if _together():
        tensor = tensor.clone()
        distributed.all_reduce(tensor)
    return tensor


def gathered(value: T) -> list[T]:
    """The values of all processes, by rank. All have to ask for it."""
    if not _together():
        return [value]
    found: list[Any] = [None] * num_processes()
    distributed.all_gather_object(found, value)
    return found


def average_buffers(modules: Iterable[nn.Module], share: float) -> None:
    """Replaces the modules' buffers of floating point by their weighted means over the processes, in one exchange.

    A buffer that moves linearly with the mean of a batch is then what one process with the whole batch would have.

    Args:
        modules: the same ones in every process.
        share: the weight of this process; those of all processes add up to 1.
    """
    if not _together():
        return
    buffers = [buffer for module in modules for buffer in module.buffers() if buffer.is_floating_point()]
    if not buffers:
        return
    flat = torch.cat([buffer.reshape(-1).double() for buffer in buffers]) * share
    distributed.all_reduce(flat)
    for buffer, mean in zip(buffers, flat.split([buffer.numel() for buffer in buffers]), strict=True):
        buffer.copy_(mean.view_as(buffer))


def _together() -> bool:
    return distributed.is_available() and distributed.is_initialized()
