"""Squares of numbers that float32 holds, and that are themselves beyond it."""

import torch
from torch import Tensor


def doubled(tensor: Tensor) -> Tensor:
    """The same numbers in float64, on devices that have it."""
    return tensor if tensor.device.type == "mps" else tensor.double()


def squared_length(vector: Tensor) -> Tensor:
    """The sum of the squares, `[]`, in float64: of numbers up to 1e38, without a copy of them all in that type."""
    return doubled(torch.linalg.vector_norm(vector)).square()
