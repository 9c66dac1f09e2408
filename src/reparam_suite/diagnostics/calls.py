"""Calls of the layers of a model: the tensors that went in and came out, and how their rows are laid out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from torch import Tensor, nn
from torch.distributions import Distribution

from reparam_suite.distributions import parameters


class NotLayerwiseError(Exception):
    """The gradient of a single datum cannot be computed from inputs and outputs of the layers."""


@final
@dataclass(frozen=True)
class Call:
    """One call of a module that has parameters of its own.

    Attributes:
        module: what was called.
        inputs: its positional arguments.
        outputs: the tensors that it returned and that carry a gradient; of a distribution, its parameters.
        places: which of all tensors that it returned they are.
        lead: how its rows are laid out: `(B,)` in an encoder that runs once for all repeats, `(K, R, B)` elsewhere.
    """

    module: nn.Module
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    places: tuple[int, ...]
    lead: tuple[int, ...]


def tensors_of(module: nn.Module, result: Any) -> tuple[Tensor, ...]:
    """The tensors that a module returned: of a distribution, its parameters.

    Raises:
        NotLayerwiseError: if it returned neither tensors nor a distribution that names its parameters.
    """
    if isinstance(result, Tensor):
        return (result,)
    if isinstance(result, Distribution) and (named := parameters(result)):
        return tuple(named.values())
    if isinstance(result, tuple | list) and all(isinstance(member, Tensor) for member in result):
        return tuple(result)
    raise NotLayerwiseError(f"{type(module).__name__} returns {type(result).__name__}, no rows of a tensor")


def rows(tensor: Tensor, lead: Sequence[int]) -> Tensor:
    """`tensor` with its leading axes, flattened or not, as `[*lead, ...]`.

    Raises:
        NotLayerwiseError: if they do not hold as many rows.
    """
    count = math.prod(lead)
    for axes in range(1, tensor.dim() + 1):
        if math.prod(tensor.shape[:axes]) == count:
            return tensor.reshape(*lead, *tensor.shape[axes:])
    raise NotLayerwiseError(f"a tensor of shape {list(tensor.shape)} does not have one row for each of {list(lead)}")
