"""Private names of PyTorch that diagnostics rely on, each with the reason why no public one will do.

`tests/diagnostics/test_torch_internals.py` fails when one of them is gone or means something else.
"""

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode as TorchDispatchMode  # the only hook on every operation
from torch.utils._pytree import tree_leaves as _tree_leaves  # the trees that this hook is given


def tensors_of(tree: Any) -> list[Tensor]:
    """The tensors in tuples, lists and dictionaries as deep as they go."""
    return [leaf for leaf in _tree_leaves(tree) if isinstance(leaf, Tensor)]


def storage_key(tensor: Tensor) -> int:
    """The identity of the memory of a tensor, which its views share. The public data_ptr may be 0, or used again."""
    return int(tensor.untyped_storage()._cdata)


def version_of(tensor: Tensor) -> int:
    """The number of changes in place. A comparison of values would cost a pass over each buffer."""
    return int(tensor._version)


def lerp_all(averages: list[Tensor], values: list[Tensor], weight: float) -> None:
    """Moves averages towards values, in one call: a loop over parameters costs several times as much."""
    torch._foreach_lerp_(averages, values, weight)


def squared_norm(tensors: list[Tensor]) -> Tensor:
    """The sum of squares of all elements, `[]` in float64, in one call for all norms."""
    return torch.stack(torch._foreach_norm(tensors)).double().square().sum()
