"""Hooks that keep the calls of a model's layers, and run what is the same for all repeats once."""

import inspect
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn, final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.utils.hooks import RemovableHandle

from reparam_suite.diagnostics.calls import Call, NotLayerwiseError, tensors_of
from reparam_suite.diagnostics.variational import carriers, from_leaves, of_each_datum
from reparam_suite.distributions import can_be_rebuilt

Axes = Mapping[tuple[nn.Module, int], int | None]
"""For each call of a module, counted from 0: how many axes of its output hold its rows, samples and data; None where
the objective has no gradient with respect to the output, as within a frozen density."""


@final
@dataclass(frozen=True)
class Cut:
    """A distribution that was made once, and its copies for every datum and repeat that took its place.

    Attributes:
        module: what made it.
        made: its parameters, of each datum, in the graph of the module's parameters.
        leaves: the copies of them, `[R B, ...]`, in the same order.
        copied: the distribution that took its place.
    """

    module: nn.Module
    made: list[Tensor]
    leaves: dict[str, Tensor]
    copied: Distribution


@final
class Recorder:
    """Keeps the calls of all modules that own one of the parameters; hooks stay for as long as it is entered.

    A module whose forward takes no arguments and makes a distribution, such as a learned prior, makes one for all data:
    a copy for each datum and repeat takes its place, and what is called within it is not kept.

    Args:
        model: whose modules are watched.
        parameters: those whose gradient is wanted.
        num_repeats: R.
        num_data: B; the model is given R B data.
        axes: of the calls to come; without them every call is kept with no layout.
        once: an encoder that is called with the data and makes q: it is given B data instead of R B.
    """

    def __init__(
        self,
        model: nn.Module,
        parameters: Iterable[nn.Parameter],
        *,
        num_repeats: int,
        num_data: int,
        axes: Axes | None = None,
        once: nn.Module | None = None,
    ) -> None:
        self._wanted = set(parameters)
        self._model = model
        self._shape = (num_repeats, num_data)
        self._axes = axes
        self._once = once
        self.calls: list[Call] = []
        self.numbers: list[int] = []
        self.encoder_calls: list[Call] = []
        self.encoded: Cut | None = None
        self.cuts: list[Cut] = []
        self._counts: Counter[nn.Module] = Counter()
        self._within = 0
        self._encoding = False

    @contextmanager
    def watching(self) -> Iterator["Recorder"]:
        """Within, every call that carries a gradient is kept."""
        hooks: list[RemovableHandle] = []
        try:
            for module in self._model.modules():
                hooks += self._hooks_of(module)
            if self._once is not None:
                hooks.append(self._once.register_forward_pre_hook(self._take_one_repeat))
                hooks.append(self._once.register_forward_hook(self._repeat))
            yield self
        finally:
            for hook in hooks:
                hook.remove()

    def watched(self) -> set[nn.Parameter]:
        """The parameters of the modules that were called."""
        calls = [*self.calls, *self.encoder_calls]
        found = {parameter for call in calls for parameter in call.module.parameters(recurse=False)}
        return found.union(*(cut.module.parameters() for cut in self.cuts))

    def _hooks_of(self, module: nn.Module) -> Iterator[RemovableHandle]:
        takes_nothing = _takes_nothing(module)
        if takes_nothing:
            yield module.register_forward_pre_hook(self._enter)
        if not self._wanted.isdisjoint(module.parameters(recurse=False)):
            yield module.register_forward_hook(self._keep, with_kwargs=True)
        if takes_nothing:
            yield module.register_forward_hook(self._leave)

    def _enter(self, *_: object) -> None:
        self._within += 1

    def _leave(self, module: nn.Module, inputs: tuple[Any, ...], result: Any) -> Any:  # noqa: ARG002
        self._within -= 1
        if not isinstance(result, Distribution) or result.batch_shape or not can_be_rebuilt(result):
            return None
        made = carriers(result)
        if not made:
            return None
        count = self._shape[0] * self._shape[1]
        copied, leaves = from_leaves(result, lambda value: value.expand(count, *value.shape))
        for method in ("sample", "rsample"):
            setattr(copied, method, _refuse_to_sample)
        self.cuts.append(Cut(module, list(made.values()), {name: leaves[name] for name in made}, copied))
        return copied

    def _take_one_repeat(self, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Tensor]:  # noqa: ARG002
        (x,) = inputs
        R, B = self._shape
        if not torch.equal(x[: B * (R - 1)], x[B:]):
            raise NotLayerwiseError("the encoder is given other data in each repeat")
        self._encoding = True
        return (x[:B],)

    def _repeat(self, module: nn.Module, inputs: tuple[Any, ...], q: Distribution) -> Distribution:  # noqa: ARG002
        self._encoding = False
        R = self._shape[0]
        made = {name: value for name, value in of_each_datum(q).items() if value.requires_grad}
        copied, leaves = from_leaves(q, lambda value: value.repeat(R, *(1,) * (value.dim() - 1)))
        self.encoded = Cut(module, list(made.values()), {name: leaves[name] for name in made}, copied)
        return copied

    def _keep(self, module: nn.Module, inputs: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        if self._within:
            return
        tensors = tensors_of(module, result)
        places = tuple(index for index, tensor in enumerate(tensors) if tensor.requires_grad)
        if not places:
            return
        outputs = tuple(tensors[index] for index in places)
        if kwargs or not inputs or not all(isinstance(tensor, Tensor) for tensor in inputs):
            raise NotLayerwiseError(f"{type(module).__name__} is called with other arguments than tensors")
        given = tuple(tensor.detach() for tensor in inputs)
        number = self._counts[module]
        self._counts[module] += 1
        if self._encoding:
            self.encoder_calls.append(Call(module, given, outputs, places, self._shape[1:]))
            return
        if (lead := self._lead_of(module, number, outputs[0])) is not None:
            self.numbers.append(number)
            self.calls.append(Call(module, given, outputs, places, lead))

    def _lead_of(self, module: nn.Module, number: int, output: Tensor) -> tuple[int, ...] | None:
        if self._axes is None:
            return ()
        if (module, number) not in self._axes:
            raise NotLayerwiseError(f"{type(module).__name__} is not called as often for few data as for many")
        if (axes := self._axes[module, number]) is None:
            return None
        R, B = self._shape
        num_rows = output.shape[:axes].numel()
        if num_rows % (R * B):
            raise NotLayerwiseError(f"{type(module).__name__} gives {num_rows} rows for {R} x {B} data")
        return num_rows // (R * B), R, B


def _takes_nothing(module: nn.Module) -> bool:
    code = getattr(type(module).forward, "__code__", None)
    return code is not None and code.co_argcount == 1 and not code.co_flags & _TAKES_MORE


_TAKES_MORE = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS


def _refuse_to_sample(*_: object) -> NoReturn:
    raise NotLayerwiseError("the objective samples a prior that is learned")
