"""Tensors of numbers: kept finite, widened, normalised."""

import torch
import torch.nn.functional as F
from torch import Tensor

_HALF_LIMIT = 0.25 * 65504.0**0.5  # the largest number of half precision is 65504


def widened(tensor: Tensor) -> Tensor:
    """The same numbers in float32, or in their own type if that is wider."""
    if tensor.dtype == torch.float32:
        return tensor
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def finite(logits: Tensor) -> Tensor:
    """The same logits between -1e15 and 1e15, or what half precision has in the place of these.

    exp of the lower limit is 0, and products of two of them do not overflow: 0 times a logit is 0, never NaN. Beyond
    the limits no gradient is passed on.
    """
    limit = _HALF_LIMIT if logits.dtype == torch.float16 else 1e15
    return F.hardtanh(logits, -limit, limit)  # clamp's values, in a third of the time with its backward pass


def softmax(logits: Tensor) -> Tensor:
    """The softmax over the last axis: PyTorch's own, which is many times slower there than elsewhere on few classes."""
    return logits.mT.contiguous().softmax(-2).mT if logits.dim() > 1 else logits.softmax(-1)
