"""Which rows of a layer belong to which datum: proved on a few data before a layer is used."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from reparam_suite.diagnostics.batches import Batch, device_of, num_data, part, repeated
from reparam_suite.diagnostics.calls import Call, NotLayerwiseError
from reparam_suite.diagnostics.measured_model import MeasuredModel, as_module, trained_parameters
from reparam_suite.diagnostics.memory import graph_bytes
from reparam_suite.diagnostics.recorder import Axes, Recorder
from reparam_suite.diagnostics.rows import is_affine
from reparam_suite.diagnostics.variational import carriers
from reparam_suite.distributions import can_be_rebuilt
from reparam_suite.runtime.random_streams import forked_generator

NUM_PROBED = 3
"""Data on which a layout is proved."""


@final
@dataclass(frozen=True)
class Layout:
    """The layout of rows in each layer of a model, and what one of them costs.

    Attributes:
        axes: of every call.
        once: the encoder, where the noise enters after it: it then runs once for all repeats.
        bytes_per_row: of memory, for each datum and repeat.
    """

    axes: Axes
    once: nn.Module | None
    bytes_per_row: int


def layout_of(model: MeasuredModel, batch: Batch) -> Layout:
    """The layout of the model's layers, from one pass over a few data; to be called while `measuring`.

    A row of a layer belongs to the datum whose objective it reaches: the gradient of one datum's objective alone has to
    vanish in all other rows. The training's noise is left as it was.

    Raises:
        NotLayerwiseError: if rows of a layer belong to no datum, or to several.
    """
    few = part(batch, slice(0, NUM_PROBED))
    few = few if num_data(few) == NUM_PROBED else part(repeated(few, NUM_PROBED), slice(0, NUM_PROBED))
    module = as_module(model)
    recorder = Recorder(
        module,
        [parameter for group in trained_parameters(model).values() for parameter in group],
        num_repeats=1,
        num_data=NUM_PROBED,
    )
    encoder = getattr(model, "posterior", None)
    objectives: list[Tensor] = []

    def forward() -> Tensor:
        objectives.append(objective_of(model, few, NUM_PROBED)[1])
        return objectives[-1]

    with forked_generator(device_of(batch)), recorder.watching(), _watching(encoder) as encoded:
        kept = graph_bytes(forward)
    axes = _proved(recorder.calls, recorder.numbers, objectives[-1])
    explicit = _formed_elements(recorder.calls, axes.values()) * objectives[-1].element_size()
    return Layout(
        axes=axes,
        once=encoder if encoded == [True] else None,
        bytes_per_row=-(-(kept + explicit) // NUM_PROBED),
    )


def objective_of(model: MeasuredModel, batch: Batch, count: int) -> tuple[Distribution, Tensor]:
    """q and the objective of each of `count` data, `[count]`: its mean over further axes of q's batch shape.

    Raises:
        NotLayerwiseError: if the model gives no objective for each datum.
    """
    target = model.expectation(batch)
    objective: Tensor = model.estimator(target).objective
    if objective.dim() == 0 or len(objective) != count:
        raise NotLayerwiseError(f"the objective of {count} data has the shape {list(objective.shape)}, no row for each")
    return target.q, objective if objective.dim() == 1 else objective.flatten(1).mean(1)


def _proved(calls: list[Call], numbers: list[int], objective: Tensor) -> dict[tuple[nn.Module, int], int | None]:
    count = len(objective)
    candidates = [_candidates(call, count) for call in calls]
    unseen = list(range(len(calls)))
    connected: set[int] = set()
    # Where the objective of one datum reaches no row of a layer, or is not a number, that of the next one may do.
    for datum in reversed(range(count)):
        if not unseen:
            break
        outputs = [output for index in unseen for output in calls[index].outputs]
        found = iter(torch.autograd.grad(objective[datum], outputs, retain_graph=True, allow_unused=True))
        still = []
        for index in unseen:
            deltas = [delta for delta in [next(found) for _ in calls[index].outputs] if delta is not None]
            connected |= {index} if deltas else set()
            fitting = [axes for axes in candidates[index] if _reached(deltas, axes, count) == {datum}]
            if fitting:
                candidates[index] = fitting
            elif all(delta.isfinite().all() for delta in deltas) and any(delta.any() for delta in deltas):
                name = type(calls[index].module).__name__
                raise NotLayerwiseError(f"the rows of {name} are not laid out sample by sample, datum by datum")
            else:
                still.append(index)
        unseen = still
    return {
        (call.module, number): candidates[index][0] if index in connected else None
        for index, (call, number) in enumerate(zip(calls, numbers, strict=True))
    }


def _candidates(call: Call, count: int) -> list[int]:
    output = call.outputs[0]
    found = [axes for axes in range(1, output.dim() + 1) if output.shape[:axes].numel() % count == 0]
    if not found:
        raise NotLayerwiseError(f"{type(call.module).__name__} gives {list(output.shape)}, no rows of {count} data")
    return found


def _formed_elements(calls: list[Call], axes: Iterable[int | None]) -> int:
    # Numbers in the gradients of single data that are formed, one for each call.
    return NUM_PROBED * sum(
        parameter.numel()
        for call, leading in zip(calls, axes, strict=True)
        if leading is not None and not is_affine(call.module)
        for parameter in call.module.parameters(recurse=False)
    )


def _reached(deltas: list[Tensor], axes: int, count: int) -> set[int]:
    # The data whose rows a gradient reaches, if so many leading axes of it hold the rows.
    found: set[int] = set()
    for delta in deltas:
        num_rows = delta.shape[:axes].numel()
        if num_rows % count:
            return set()
        of_datum = delta.reshape(num_rows // count, count, -1).abs().amax((0, 2)).tolist()
        found |= {datum for datum, size in enumerate(of_datum) if size != 0.0}
    return found


@contextmanager
def _watching(encoder: object) -> Iterator[list[bool]]:
    # For each call of the encoder, whether it made q from the data and nothing else: the same in every repeat.
    calls: list[bool] = []
    if not isinstance(encoder, nn.Module):
        yield calls
        return
    states: list[Tensor] = []

    def before(_: nn.Module, inputs: tuple[object, ...]) -> None:
        states.append(_random_state(inputs))

    def after(_: nn.Module, inputs: tuple[object, ...], kwargs: dict[str, object], q: object) -> None:
        calls.append(
            not kwargs
            and len(inputs) == 1
            and isinstance(inputs[0], Tensor)
            and isinstance(q, Distribution)
            and q.batch_shape[:1] == inputs[0].shape[:1]
            and bool(carriers(q))
            and can_be_rebuilt(q)
            and torch.equal(states[-1], _random_state(inputs))
        )

    hooks = [encoder.register_forward_pre_hook(before), encoder.register_forward_hook(after, with_kwargs=True)]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


def _random_state(inputs: tuple[object, ...]) -> Tensor:
    x = inputs[0] if inputs else None
    return torch.cuda.get_rng_state(x.device) if isinstance(x, Tensor) and x.is_cuda else torch.get_rng_state()
