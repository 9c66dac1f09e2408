"""The training step of a batch, with its backward pass, gradient clipping and optimizer step, as one traced graph."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast, final

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.optim import Optimizer

from reparam_suite.training.scalar_arguments import with_tensor_arguments
from reparam_suite.training.torch_internals import as_while_compiling, bare_step, traced

_OUT_OF_REACH = ("global_step", "current_epoch", "log", "log_dict", "print")
_WHILE_COMPILING = {"capturable": True, "foreach": False, "fused": False}


class Untraceable(ValueError):  # noqa: N818 - it says what the step is
    """A training step that is no graph of operations on tensors; the message gives the reason."""


@final
class StepGraph:
    """The training step of batches of one shape, as a graph of operations on tensors.

    It takes the tensors of `current_inputs`, of `current_rates` and of the batch, in one list. It changes parameters,
    optimizer state and buffers in place and returns the step's outputs, then the gradients as they are before clipping.

    Args:
        model: with `training_step(batch, batch_idx)`, which returns a mapping of tensors with "loss".
        optimizer: one of torch.optim, or an object with several in its `parts`; it has taken a step.
        batch: a tensor, or tensors in lists, tuples and mappings.
        clip: clips the gradients of the optimizer's parameters.
        rates_change: whether the learning rates are inputs, and no constants of the graph.

    Attributes:
        graph: the traced module.
        names: of the outputs.
        trained: the parameters that have a gradient.

    Raises:
        Untraceable: if the step depends on values of tensors, on the step's number, or on anything else that would be
            a constant of the graph; if the optimizer keeps numbers that are no tensors.
    """

    def __init__(
        self,
        model: LightningModule,
        optimizer: Optimizer,
        batch: Any,
        clip: Callable[[], object] | None,
        *,
        rates_change: bool = False,
    ) -> None:
        self._model, self._optimizer, self._batch, self._clip = model, optimizer, batch, clip
        self._parameters = dict(model.named_parameters())
        self._buffers = dict(model.named_buffers())
        self._state = _state_of(optimizer)
        self._rates = [_rate_of(group) for group in _groups(optimizer)] if rates_change else []
        self._check()
        self.names: list[str] = []
        self.trained: list[nn.Parameter] = []
        before = _plain_attributes(model)
        try:
            with _held(model):
                self.graph: GraphModule = traced(
                    self._step, [*self.current_inputs(), *self.current_rates(), *tensors_of(batch)]
                )
        except Untraceable:
            raise
        except Exception as error:  # whatever torch, or a module of a user's own, makes of tensors without values
            raise Untraceable(f"{type(error).__name__}: {' '.join(str(error).split()):.200}") from error
        if not with_tensor_arguments(self.graph):
            raise Untraceable("it reads a number from a tensor")
        if changed := sorted(name for name, value in _plain_attributes(model).items() if before.get(name) != value):
            raise Untraceable(f"{changed[0]}, which is no tensor, changes in a step")

    def _check(self) -> None:
        known = set(self._parameters.values())
        if any(parameter not in known for group in self._optimizer.param_groups for parameter in group["params"]):
            raise Untraceable("the optimizer steps parameters that are not the model's")
        for part in parts_of(self._optimizer):
            for entries in part.state.values():
                for key, value in entries.items():
                    if value is not None and not isinstance(value, Tensor):
                        raise Untraceable(f"{type(part).__name__} keeps {key} as {type(value).__name__}, no tensor")

    def current_inputs(self) -> list[Tensor]:
        """Parameters, optimizer state and buffers, as views without a gradient."""
        state = [self._optimizer_of(parameter).state[parameter][key] for parameter, key in self._state]
        return [*(tensor.detach() for tensor in (*self._parameters.values(), *state)), *self.current_buffers()]

    def current_buffers(self) -> list[Tensor]:
        """The last of them: a step that is not taken as a graph may replace a buffer."""
        buffers = dict(self._model.named_buffers())
        return [buffers[name].detach() for name in self._buffers]

    def current_rates(self) -> list[Tensor]:
        """The learning rate of each parameter group, `[]`, in double precision as Python's are; none of constants."""
        for rate, group in zip(self._rates, _groups(self._optimizer), strict=False):
            rate.fill_(group["lr"])
        return self._rates

    @property
    def input_names(self) -> list[str]:
        """The names of the current inputs."""
        names = {parameter: name for name, parameter in self._parameters.items()}
        state = [f"the optimizer's {key} of {names[parameter]}" for parameter, key in self._state]
        return [*self._parameters, *state, *self._buffers]

    def _optimizer_of(self, parameter: nn.Parameter) -> Optimizer:
        return next(part for part in parts_of(self._optimizer) if parameter in part.state)

    def _step(self, *inputs: Tensor) -> list[Tensor]:
        rest = iter(inputs)
        parameters = {name: next(rest) for name in self._parameters}
        state = [next(rest) for _ in self._state]
        buffers = {name: next(rest) for name in self._buffers}
        rates = [next(rest) for _ in self._rates]
        leaves = {
            name: value.detach().requires_grad_(self._parameters[name].requires_grad)
            for name, value in parameters.items()
        }
        step = _Step(self._model)
        named = {f"model.{name}": value for name, value in (leaves | buffers).items()}
        outputs, after = torch.func.functional_call(step, named, (with_tensors(self._batch, rest),))
        wanted = {name: leaf for name, leaf in leaves.items() if leaf.requires_grad}
        found = torch.autograd.grad(outputs["loss"], list(wanted.values()), allow_unused=True)
        gradients = {name: gradient for name, gradient in zip(wanted, found, strict=True) if gradient is not None}
        self.names = list(outputs)
        self.trained = [self._parameters[name] for name in gradients]
        with torch.no_grad():
            returned = [value.detach() for value in outputs.values()]
            returned += [gradient.clone() if self._clip else gradient for gradient in gradients.values()]
            self._optimize(parameters, state, gradients, rates)
            for name, buffer in buffers.items():
                if after[name] is not buffer:
                    buffer.copy_(after[name])
        return returned

    def _optimize(
        self,
        parameters: Mapping[str, Tensor],
        state: Sequence[Tensor],
        gradients: Mapping[str, Tensor],
        rates: Sequence[Tensor],
    ) -> None:
        stand_ins = {own: parameters[name] for name, own in self._parameters.items()}
        entries: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        for (parameter, key), value in zip(self._state, state, strict=True):
            entries[stand_ins[parameter]][key] = value
        for name, gradient in gradients.items():
            parameters[name].grad = gradient
        try:
            with _in_place_of(self._optimizer, stand_ins, entries, rates), as_while_compiling():
                if self._clip is not None:
                    self._clip()
                for part in parts_of(self._optimizer):
                    bare_step(part)()
        finally:
            for value in parameters.values():
                value.grad = None
        for (parameter, key), value in zip(self._state, state, strict=True):
            if (new := entries[stand_ins[parameter]][key]) is not value:
                value.copy_(new)


class _Step(nn.Module):
    # What functional_call calls; the buffers that the step leaves are read before they are put back.
    def __init__(self, model: LightningModule) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        outputs: Any = self.model.training_step(batch, 0)
        return outputs, dict(self.model.named_buffers())


def parts_of(optimizer: Optimizer) -> list[Optimizer]:
    """The optimizers that are stepped as one."""
    return list(getattr(optimizer, "parts", {"": optimizer}).values())


def has_state(optimizer: Optimizer) -> bool:
    """Whether all of an optimizer's state is there: it has taken a step, or was loaded."""
    return all(part.state for part in parts_of(optimizer))


def hyperparameters_of(optimizer: Optimizer, *, rates: bool = True) -> list[tuple[Any, ...]]:
    """The constants of a graph: the options of every parameter group, the learning rate among them if `rates`."""
    left_out = ("params",) if rates else ("params", "lr")
    return [tuple(value for key, value in group.items() if key not in left_out) for group in optimizer.param_groups]


def tensors_of(batch: Any) -> list[Tensor]:
    """The tensors of a batch, in order.

    Raises:
        Untraceable: if it has anything else.
    """
    if isinstance(batch, Tensor):
        return [batch]
    if isinstance(batch, Mapping):
        return [tensor for member in batch.values() for tensor in tensors_of(member)]
    if isinstance(batch, list | tuple):
        return [tensor for member in batch for tensor in tensors_of(member)]
    raise Untraceable(f"a batch has a member that is no tensor, {type(batch).__name__}")


def with_tensors(batch: Any, tensors: Iterator[Tensor]) -> Any:
    """The same batch with other tensors, in the order of `tensors_of`."""
    if isinstance(batch, Tensor):
        return next(tensors)
    if isinstance(batch, Mapping):
        return {key: with_tensors(member, tensors) for key, member in batch.items()}
    members = [with_tensors(member, tensors) for member in batch]
    return tuple(members) if isinstance(batch, tuple) else members


def _state_of(optimizer: Optimizer) -> list[tuple[nn.Parameter, str]]:
    found = [
        (parameter, key)
        for part in parts_of(optimizer)
        for parameter, entries in part.state.items()
        for key, value in entries.items()
        if isinstance(value, Tensor)
    ]
    return cast("list[tuple[nn.Parameter, str]]", found)


def _groups(optimizer: Optimizer) -> list[dict[str, Any]]:
    return [group for part in parts_of(optimizer) for group in part.param_groups]


def _rate_of(group: Mapping[str, Any]) -> Tensor:
    return torch.zeros((), dtype=torch.float64, device=group["params"][0].device)


@contextmanager
def _in_place_of(
    optimizer: Optimizer,
    stand_ins: Mapping[Any, Tensor],
    state: defaultdict[Tensor, dict[str, Any]],
    rates: Sequence[Tensor],
) -> Iterator[None]:
    # The optimizer steps other tensors within this context, with operations that a compiler can fuse.
    parts = parts_of(optimizer)
    groups, states = [(group, dict(group)) for group in _groups(optimizer)], [part.state for part in parts]
    for part in parts:
        part.state = state
    for group, before in groups:
        group.update({key: value for key, value in _WHILE_COMPILING.items() if key in group})
        group["params"] = [stand_ins[parameter] for parameter in before["params"]]
    for (group, _), rate in zip(groups, rates, strict=False):
        group["lr"] = rate
    try:
        yield
    finally:
        for group, before in groups:
            group.update(before)
        for part, before_state in zip(parts, states, strict=True):
            part.state = before_state


@contextmanager
def _held(model: LightningModule) -> Iterator[None]:
    # The number of the step would be a constant of the graph; what objectives get of it they do not depend on, as
    # `check_compilable` has found. A property can be replaced in a class alone: that of this one object.
    cls, steps = type(model), getattr(model, "steps_taken", 0)

    def refusing(name: str) -> property:
        def refuse(_: Any) -> Any:
            raise Untraceable(f"the step asks for self.{name}")

        return property(refuse)

    body: dict[str, Any] = {name: refusing(name) for name in _OUT_OF_REACH}
    if hasattr(cls, "steps_taken"):
        body["steps_taken"] = property(lambda _: steps)
    model.__class__ = type(cls.__name__, (cls,), {**body, "__module__": cls.__module__})
    try:
        yield
    finally:
        model.__class__ = cls


def _plain_attributes(model: nn.Module) -> dict[str, Any]:
    # Numbers, flags and words: what a module may count its steps in.
    return {
        f"{path}.{name}".removeprefix("."): value
        for path, module in model.named_modules()
        for name, value in vars(module).items()
        if isinstance(value, bool | int | float | str)
    }
