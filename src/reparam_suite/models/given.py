"""Tensors and arrays of any real numbers, converted for a model outside of training; other shapes are refused."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reparam_suite.runtime.errors import ArgumentTypeError, ArgumentValueError

Numbers = Tensor | np.ndarray[Any, np.dtype[Any]]
"""Real numbers as users have them."""


def numbers_for(model: nn.Module, name: str, given: Numbers, event_shape: tuple[int, ...]) -> Tensor:
    """`given` as a tensor `[*B, *event_shape]` of the type and on the device of the model's parameters.

    Args:
        model: without parameters floating-point tensors stay as they are, others become float32.
        name: of the argument.
        given: a tensor or an array of real numbers, which are taken as they are: integers are not scaled.
        event_shape: of a datum or of a latent.

    Raises:
        ArgumentTypeError: if it is no tensor or array of real numbers.
        ArgumentValueError: if its last axes are not the event shape.
    """
    values = _as_tensor(name, given)
    leading = values.dim() - len(event_shape)
    if leading < 0 or tuple(values.shape[leading:]) != event_shape:
        axes = ", ".join(["*B", *map(str, event_shape)])
        raise ArgumentValueError(f"{name}: expected shape [{axes}], got {list(values.shape)}")
    like = next((parameter for parameter in model.parameters() if parameter.is_floating_point()), None)
    if like is not None:
        return values.to(device=like.device, dtype=like.dtype)
    return values if values.is_floating_point() else values.to(torch.float32)


def _as_tensor(name: str, given: Any) -> Tensor:
    if isinstance(given, Tensor):
        if given.is_complex():
            raise ArgumentTypeError(f"{name}: expected real numbers, got {given.dtype}")
        return given
    if not isinstance(given, np.ndarray):
        raise ArgumentTypeError(f"{name}: expected a tensor or an array, got {type(given).__name__}")
    if given.dtype.kind not in "biuf":
        raise ArgumentTypeError(f"{name}: expected real numbers, got {given.dtype}")
    # Through NumPy, a copy: PyTorch lacks some of its types, and does not like arrays that are read only.
    return torch.from_numpy(given.astype(np.float64 if given.dtype.itemsize > 4 else np.float32))
