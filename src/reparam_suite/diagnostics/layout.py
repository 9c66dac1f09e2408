"""Which rows of a layer belong to which datum: proved on a few data before a layer is used."""

from collections.abc import Iterable
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
from reparam_suite.diagnostics.variational import carriers, is_rebuildable
from reparam_suite.runtime.random_streams import forked_generator

NUM_PROBED = 3
"""Data on which a layout is proved."""


@final
@dataclass(frozen=True)
class Layout:
    """How the layers of a model lay out their rows, and what one of them costs.

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
        [each for group in trained_parameters(model).values() for each in group],
        num_repeats=1,
        num_data=NUM_PROBED,
    )
    encoder = _Encoder(getattr(model, "posterior", None))
    objectives: list[Tensor] = []

    def forward() -> Tensor:
        objectives.append(objective_of(model, few, NUM_PROBED)[1])
        return objectives[-1]

    with forked_generator(device_of(batch)), recorder.watching(), encoder.watching():
        kept = graph_bytes(forward, [*module.parameters(), *module.buffers()])
    axes = _proved(recorder.calls, recorder.numbers, objectives[-1])
    explicit = _formed_elements(recorder.calls, axes.values()) * objectives[-1].element_size()
    return Layout(
        axes=axes,
        once=encoder.module if encoder.calls == 1 and encoder.is_deterministic else None,
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


def _proved(calls: list[Call], numbers: list[int], objective: Tensor) -> dict[tuple[nn.Module, int], int]:
    count = len(objective)
    candidates = [_candidates(call, count) for call in calls]
    unseen = set(range(len(calls)))
    # Where the objective of one datum reaches no row of a layer, that of the next one may.
    for datum in reversed(range(count)):
        if not unseen:
            break
        some = sorted(unseen)
        outputs = [output for index in some for output in calls[index].outputs]
        found = iter(torch.autograd.grad(objective[datum], outputs, retain_graph=True, allow_unused=True))
        for index in some:
            deltas = [delta for delta in [next(found) for _ in calls[index].outputs] if delta is not None]
            if not any(bool(delta.any()) for delta in deltas):
                continue
            unseen.discard(index)
            fitting = [
                axes for axes in candidates[index] if all(_only_of(delta, axes, count, datum) for delta in deltas)
            ]
            if not fitting:
                name = type(calls[index].module).__name__
                raise NotLayerwiseError(f"the rows of {name} are not laid out sample by sample, datum by datum")
            candidates[index] = fitting
    return {
        (call.module, number): axes[0] for call, number, axes in zip(calls, numbers, candidates, strict=True)
    }


def _candidates(call: Call, count: int) -> list[int]:
    output = call.outputs[0]
    found = [axes for axes in range(1, output.dim() + 1) if output.shape[:axes].numel() % count == 0]
    if not found:
        raise NotLayerwiseError(f"{type(call.module).__name__} gives {list(output.shape)}, no rows of {count} data")
    return found


def _formed_elements(calls: list[Call], axes: Iterable[int]) -> int:
    # Numbers in the gradients that are formed row by row.
    return sum(
        call.outputs[0].shape[:leading].numel() * sum(each.numel() for each in call.module.parameters(recurse=False))
        for call, leading in zip(calls, axes, strict=True)
        if not is_affine(call.module)
    )


def _only_of(delta: Tensor, axes: int, count: int, datum: int) -> bool:
    num_rows = delta.shape[:axes].numel()
    if num_rows % count:
        return False
    others = delta.reshape(num_rows // count, count, -1)
    return not bool(others[:, :datum].any()) and not bool(others[:, datum + 1 :].any())


@final
class _Encoder:
    # Whether a module makes q from the data without any noise: q is then the same in every repeat.
    def __init__(self, module: object) -> None:
        self.module = module if isinstance(module, nn.Module) else None
        self.calls = 0
        self.is_deterministic = True

    def watching(self) -> "_Encoder":
        return self

    def __enter__(self) -> "_Encoder":
        self._hooks = []
        if self.module is not None:
            self._hooks = [
                self.module.register_forward_pre_hook(self._before, with_kwargs=True),
                self.module.register_forward_hook(self._after, with_kwargs=True),
            ]
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _before(self, module: nn.Module, inputs: tuple[object, ...], kwargs: dict[str, object]) -> None:  # noqa: ARG002
        self._state = _random_state(inputs)

    def _after(
        self, module: nn.Module, inputs: tuple[object, ...], kwargs: dict[str, object], q: object  # noqa: ARG002
    ) -> None:
        self.calls += 1
        self.is_deterministic &= (
            not kwargs
            and len(inputs) == 1
            and isinstance(inputs[0], Tensor)
            and isinstance(q, Distribution)
            and q.batch_shape[:1] == inputs[0].shape[:1]
            and bool(carriers(q))
            and is_rebuildable(q)
            and torch.equal(self._state, _random_state(inputs))
        )


def _random_state(inputs: tuple[object, ...]) -> Tensor:
    on_cuda = bool(inputs) and isinstance(inputs[0], Tensor) and inputs[0].is_cuda
    return torch.cuda.get_rng_state(inputs[0].device) if on_cuda else torch.get_rng_state()  # type: ignore[attr-defined]
