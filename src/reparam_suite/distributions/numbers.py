"""Tensors of numbers: kept finite, widened, normalised."""

import torch
from torch import Tensor


def widened(tensor: Tensor) -> Tensor:
    """The same numbers in float32, or in their own type if that is wider."""
    if tensor.dtype == torch.float32:
        return tensor
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def finite(logits: Tensor) -> Tensor:
    """The same logits within a quarter of the square root of the largest number, 4.6e18 in float32.

    exp of the lower limit is 0, and products of two of them do not overflow: 0 times a logit is 0, never NaN. Beyond
    the limits no gradient is passed on.
    """
    limit = 0.25 * float(torch.finfo(logits.dtype).max) ** 0.5
    return logits.clamp(-limit, limit)


def softmax(logits: Tensor) -> Tensor:
    """The softmax over the last axis: PyTorch's own, which is many times slower there than elsewhere on few classes."""
    return logits.mT.contiguous().softmax(-2).mT if logits.dim() > 1 else logits.softmax(-1)
