"""When a step is compiled, what it is held to, and which steps are taken compiled."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, final

import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.optim import Optimizer

from reparam_suite.runtime.random_streams import forked_generator, generator_state
from reparam_suite.training.step_graph import (
    StepGraph,
    Untraceable,
    has_state,
    hyperparameters_of,
    tensors_of,
)
from reparam_suite.training.torch_internals import compiled

TOLERANCE = 0.01
"""Of a compiled step's changes against those of the step itself, in the Euclidean norm.

Rounding moves a step by 1e-6 to 1e-4 of its length, the elements that Adam divides by almost nothing included; other
noise, or a term that is missing, by more than a tenth.
"""


@final
class Compilation:
    """A training step that is compiled once, for the batches of the size that came first.

    Args:
        model: whose `training_step` it is.
        options: of inductor.
        told: is called once, with the reason why nothing is compiled, or None, and with the seconds that it took.
        apart: the context of what is no part of the training.

    Attributes:
        rates_change: whether learning rates are inputs of the function, and no constants of it; set before a step.
    """

    def __init__(
        self,
        model: LightningModule,
        options: dict[str, Any],
        *,
        told: Callable[[str | None, float], object],
        apart: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.rates_change = False
        self._model = model
        self._options = options
        self._told = told
        self._apart = apart
        self._graph: StepGraph | None = None
        self._function: Callable[..., Any] | None = None
        self._shapes: list[tuple[Any, ...]] | None = None
        self._constants: list[tuple[Any, ...]] = []
        self._inputs: list[Tensor] = []
        self._first = self._stale = True
        self._trial: _Trial | None = None
        self._seconds = 0.0
        self._over = False  # nothing is compiled any more

    def takes(self, batch: Any, optimizer: Optimizer) -> bool:
        """Whether the step of this batch is taken compiled."""
        return (
            self._function is not None
            and [_shape(tensor) for tensor in tensors_of(batch)] == self._shapes
            and hyperparameters_of(optimizer, rates=not self.rates_change) == self._constants
            and not _weight_changes(self._model)
            and not self._stands_still(optimizer)
        )

    def _stands_still(self, optimizer: Optimizer) -> bool:
        # torch's Adam divides by a learning rate that is a tensor.
        return self.rates_change and any(group["lr"] == 0.0 for group in optimizer.param_groups)

    def step(self, batch: Any) -> dict[str, Tensor]:
        """Takes the step; returns its outputs and leaves the gradients, as they were before clipping, behind."""
        assert self._graph is not None
        if self._stale:
            buffers, self._stale = self._graph.current_buffers(), False
            self._inputs[len(self._inputs) - len(buffers) :] = buffers
        return self._taken(self._inputs, batch)

    def _taken(self, inputs: list[Tensor], batch: Any) -> dict[str, Tensor]:
        graph, function = self._graph, self._function
        assert graph is not None and function is not None  # noqa: PT018
        with torch.no_grad():
            returned = function(*inputs, *graph.current_rates(), *tensors_of(batch))
        num_outputs = len(graph.names)
        for parameter, gradient in zip(graph.trained, returned[num_outputs:], strict=True):
            parameter.grad = gradient
        return dict(zip(graph.names, returned[:num_outputs], strict=True))

    def before(self, batch: Any, optimizer: Optimizer, clip: Callable[[], object] | None, *, odd: bool = False) -> None:
        """Compiles, if it is time to, before a step that is not taken compiled, and takes it on copies as well.

        Args:
            batch: of the step.
            optimizer: that steps.
            clip: clips the gradients.
            odd: whether other batches may have another size.
        """
        self._stale = True
        first, self._first = self._first and not has_state(optimizer), False
        if self._over or first or odd or _weight_changes(self._model) or self._stands_still(optimizer):
            return
        self._over = True
        start = time.perf_counter()
        with self._apart():
            try:
                with forked_generator(self._model.device):
                    self._compile(batch, optimizer, clip)
            except Untraceable as error:
                self._told(str(error), time.perf_counter() - start)
                return
            self._trial = self._tried(batch)
            self._seconds = time.perf_counter() - start

    def after(self) -> None:
        """Compares the step with the compiled one, if that was taken on copies before it."""
        if self._trial is None:
            return
        assert self._graph is not None
        trial, self._trial = self._trial, None
        difference = trial.difference(self._graph.current_inputs(), self._graph.input_names)
        if difference is not None:
            self._function = None
        self._told(difference, self._seconds)

    def _compile(self, batch: Any, optimizer: Optimizer, clip: Callable[[], object] | None) -> None:
        self._graph = StepGraph(self._model, optimizer, batch, clip, rates_change=self.rates_change)
        tensors = tensors_of(batch)
        self._inputs = self._graph.current_inputs()
        inputs = [*self._inputs, *self._graph.current_rates(), *tensors]
        try:
            self._function = compiled(self._graph.graph, inputs, self._options)
        except Exception as error:  # whatever inductor makes of a graph
            reason = " ".join(str(error).split())
            raise Untraceable(f"the compiler ends with {type(error).__name__}: {reason:.200}") from error
        self._shapes = [_shape(tensor) for tensor in tensors]
        self._constants = hyperparameters_of(optimizer, rates=not self.rates_change)

    def _tried(self, batch: Any) -> "_Trial":
        assert self._graph is not None
        before = [tensor.clone() for tensor in self._graph.current_inputs()]
        after = [tensor.clone() for tensor in before]
        device = before[0].device
        with forked_generator(device):
            # The generators are those of the step to come, and have to be left as it leaves them.
            self._taken(after, batch)
            return _Trial(before, after, generator_state(device))


@final
class _Trial:
    # A compiled step that was taken on copies.
    def __init__(self, before: list[Tensor], after: list[Tensor], generator: list[Tensor]) -> None:
        self._before, self._after, self._generator = before, after, generator

    def difference(self, inputs: list[Tensor], names: list[str]) -> str | None:
        """The reason why it is not the step that was taken in the meantime; None if it is."""
        device = inputs[0].device
        if not all(map(torch.equal, self._generator, generator_state(device))):
            return "it would draw other noise than the step itself"
        for name, before, got, expected in zip(names, self._before, self._after, inputs, strict=True):
            change = (expected.double() - before.double()).norm()
            if not (got.double() - expected.double()).norm() <= TOLERANCE * change + 1e-6 * expected.double().norm():
                return f"it would change {name} otherwise than the step itself"
        return None


def _shape(tensor: Tensor) -> tuple[Any, ...]:
    return (tensor.shape, tensor.dtype, tensor.device, tensor.stride())


def _weight_changes(model: LightningModule) -> bool:
    weight_at = getattr(getattr(model, "objective", None), "weight_at", None)
    if weight_at is None or not hasattr(model, "steps_taken"):
        return False
    return bool(weight_at(model.steps_taken) != weight_at(2**62))
