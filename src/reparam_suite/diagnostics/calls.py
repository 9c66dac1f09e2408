"""What the layers of a model were given and gave back, on the way forward."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

from torch import Tensor, nn


class NotLayerwiseError(Exception):
    """The gradient of a single datum cannot be had from what the layers were given and gave back."""


@final
@dataclass(frozen=True)
class Call:
    """One call of a module that has parameters of its own.

    Attributes:
        module: what was called.
        inputs: its positional arguments.
        output: what it returned, with its place in the graph.
        lead: how its rows are laid out: `(B,)` in the encoder, `(K, R, B)` in the decoder and in the layers above.
    """

    module: nn.Module
    inputs: tuple[Tensor, ...]
    output: Tensor
    lead: tuple[int, ...]


@final
class Recorder:
    """Keeps the calls of all modules that own one of the parameters; hooks stay for as long as it is entered.

    Args:
        model: whose modules are watched.
        parameters: those whose gradient is wanted.
    """

    def __init__(self, model: nn.Module, parameters: Iterable[nn.Parameter]) -> None:
        wanted = set(parameters)
        self.owners = [each for each in model.modules() if wanted & set(each.parameters(recurse=False))]
        self.calls: list[Call] = []
        self._lead: tuple[int, ...] | None = None

    @contextmanager
    def watching(self) -> Iterator["Recorder"]:
        """Within, every call that carries a gradient is kept."""
        hooks = [each.register_forward_hook(self._keep, with_kwargs=True) for each in self.owners]
        try:
            yield self
        finally:
            for hook in hooks:
                hook.remove()

    @contextmanager
    def laid_out(self, *lead: int) -> Iterator[None]:
        """Says how the rows of the calls within are laid out; `(R, B)` may have any axes before them."""
        before, self._lead = self._lead, lead
        try:
            yield
        finally:
            self._lead = before

    def take(self) -> list[Call]:
        """The calls so far, which are forgotten."""
        calls, self.calls = self.calls, []
        return calls

    def _keep(self, module: nn.Module, inputs: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        if isinstance(output, Tensor) and not output.requires_grad:
            return
        tensors = all(isinstance(each, Tensor) for each in (output, *inputs))
        if self._lead is None or kwargs or not inputs or not tensors:
            raise NotLayerwiseError(
                f"{type(module).__name__} is not a function from rows of tensors to rows of a tensor"
            )
        self.calls.append(Call(module, tuple(each.detach() for each in inputs), output, _whole(self._lead, output)))


def _whole(lead: tuple[int, ...], output: Tensor) -> tuple[int, ...]:
    # (R, B) with the samples of all layers, which may stand on several axes, before them.
    if len(lead) != 2:
        return lead
    if output.shape[-3:-1] != lead:
        raise NotLayerwiseError(f"a tensor of shape {list(output.shape)} has no rows of {list(lead)}")
    return math.prod(output.shape[:-3]), *lead


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
