"""Squares of numbers that float32 holds, and that are themselves beyond it."""

import torch
from torch import Tensor


def doubled(tensor: Tensor) -> Tensor:
    """The same numbers in float64, on devices that have it."""
    return tensor if tensor.device.type == "mps" else tensor.double()


def squared_length(vector: Tensor) -> Tensor:
    """The sum of the squares, `[]`, in float64 likewise."""
    length: Tensor = torch.linalg.vector_norm(vector, dtype=doubled(vector[:0]).dtype)
    return length.square()
