"""The fast road: R gradients of every datum from one pass over repeated data, layer by layer."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from reparam_suite.diagnostics.batches import Batch, num_data, repeated
from reparam_suite.diagnostics.calls import Call, NotLayerwiseError
from reparam_suite.diagnostics.few_numbers import MOST_NUMBERS, gradients_of_few_numbers
from reparam_suite.diagnostics.layout import Layout, layout_of, objective_of
from reparam_suite.diagnostics.measured_model import MeasuredModel, as_module, trained_parameters
from reparam_suite.diagnostics.parts import ROUNDING, Explicit, Part
from reparam_suite.diagnostics.recorder import Cut, Recorder
from reparam_suite.diagnostics.rows import Deltas, parts_of
from reparam_suite.diagnostics.statistics import GradientSums, Moments, moments_of_own_draws, sums_of_moments
from reparam_suite.diagnostics.variational import free_coordinates, key, rows_of


def layerwise_sums(
    model: MeasuredModel,
    batch: Batch,
    num_repeats: int,
    layout: Layout | None = None,
    groups: Mapping[str, list[nn.Parameter]] | None = None,
    *,
    per_element: bool = False,
) -> dict[str, GradientSums]:
    """Sums over the data of the batch, for each part of the model; to be called while `measuring`.

    The batch is repeated R times along its own axis; one backward pass gives what comes back at the output of every
    layer. An encoder that the noise enters after runs once: its layers then get R cotangents at once.

    Args:
        model: whose gradients are measured.
        batch: of B data.
        num_repeats: R.
        layout: of the model's layers; proved anew if it is not given.
        groups: the parameters by part; `trained_parameters` if they are not given.
        per_element: whether variances of single elements are kept.

    Raises:
        NotLayerwiseError: if the gradient reaches a parameter other than through the calls of its own module, or rows
            of a layer belong to no datum.
    """
    layout = layout or layout_of(model, batch)
    groups = groups or trained_parameters(model)
    flat = [parameter for group in groups.values() for parameter in group]
    R, B = num_repeats, num_data(batch)
    recorder = Recorder(as_module(model), flat, num_repeats=R, num_data=B, axes=layout.axes, once=layout.once)
    with recorder.watching():
        q, objective = objective_of(model, repeated(batch, R), R * B)
    watched = recorder.watched()
    others = [parameter for parameter in flat if parameter not in watched]
    few = gradients_of_few_numbers(objective, others) if 0 < _size(others) <= MOST_NUMBERS else {}
    at_q = recorder.encoded.leaves if recorder.encoded and recorder.encoded.copied is q else rows_of(q, R * B)
    encoded = list(recorder.encoded.leaves.values()) if recorder.encoded else []
    outputs = [list(call.outputs) for call in recorder.calls]
    leaves = [list(cut.leaves.values()) for cut in recorder.cuts]
    wanted: list[list[Tensor]] = [list(at_q.values()), encoded, list(flat), *leaves, *outputs]
    found = _split(
        torch.autograd.grad(objective.sum(), [tensor for some in wanted for tensor in some], materialize_grads=True),
        wanted,
    )
    by_q, back, totals = found[:3]
    at_leaves, deltas = found[3 : 3 + len(leaves)], found[3 + len(leaves) :]

    summed: dict[Tensor, Tensor] = dict(zip(flat, totals, strict=True))
    parts = parts_of(recorder.calls, [tuple(of_call) for of_call in deltas])
    if recorder.encoded:
        through = _through_encoder(recorder.encoded, back, recorder.encoder_calls, flat, summed, R)
        parts += parts_of(recorder.encoder_calls, through)
    if few:
        parts.append(
            Explicit({parameter: drawn.unflatten(0, (R, B)).transpose(0, 1) for parameter, drawn in few.items()})
        )
    parts += _through_sources(recorder.cuts, at_leaves, flat, summed, (R, B))
    moments = {
        name: _moments(group, _of(name, group, parts), summed, (R, B), per_element=per_element)
        for name, group in groups.items()
    }
    for name, gradient in zip(at_q, by_q, strict=True):
        own = free_coordinates(q, name, gradient).unflatten(0, (R, B)).transpose(0, 1)
        moments[key(name, groups)] = moments_of_own_draws(own, per_element=per_element)
    return sums_of_moments(moments)


def _size(parameters: Sequence[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)


def _split(values: Sequence[Tensor], like: Sequence[Sequence[Tensor]]) -> list[list[Tensor]]:
    left = iter(values)
    return [[next(left) for _ in some] for some in like]


def _through_encoder(
    encoded: Cut,
    back: list[Tensor],
    calls: list[Call],
    flat: list[nn.Parameter],
    summed: dict[Tensor, Tensor],
    num_repeats: int,
) -> list[Deltas]:
    # At the outputs of every call, [R, *output]; the sums over data and repeats are added to `summed`.
    repeats = [gradient.unflatten(0, (num_repeats, -1)) for gradient in back]
    inside = set(encoded.module.parameters())
    reached = [parameter for parameter in flat if parameter in inside]
    totals = torch.autograd.grad(
        encoded.made, reached, [gradient.sum(0) for gradient in repeats], retain_graph=True, materialize_grads=True
    )
    for parameter, total in zip(reached, totals, strict=True):
        summed[parameter] = summed[parameter] + total
    outputs = [output for call in calls for output in call.outputs]
    if not outputs:
        return []
    try:
        deltas = torch.autograd.grad(encoded.made, outputs, repeats, is_grads_batched=True, allow_unused=True)
    except RuntimeError as reason:
        raise NotLayerwiseError(f"several cotangents do not go through the encoder at once: {reason}") from reason
    left = iter(
        output.new_zeros(num_repeats, *output.shape) if delta is None else delta
        for output, delta in zip(outputs, deltas, strict=True)
    )
    return [tuple(next(left) for _ in call.outputs) for call in calls]


def _through_sources(
    cuts: Sequence[Cut],
    back: Sequence[list[Tensor]],
    flat: list[nn.Parameter],
    summed: dict[Tensor, Tensor],
    shape: tuple[int, int],
) -> list[Part]:
    # Every datum and repeat has a cotangent at the leaves; the way from there to the parameters is short.
    R, B = shape
    drawn: dict[nn.Module, dict[Tensor, Tensor]] = {}
    for cut, at_leaves in zip(cuts, back, strict=True):
        inside = set(cut.module.parameters())
        reached = [parameter for parameter in flat if parameter in inside]
        try:
            found = torch.autograd.grad(cut.made, reached, at_leaves, is_grads_batched=True, allow_unused=True)
        except RuntimeError as reason:
            name = type(cut.module).__name__
            raise NotLayerwiseError(f"several cotangents do not go through {name} at once: {reason}") from reason
        of_module = drawn.setdefault(cut.module, {})
        for parameter, flat_gradient in zip(reached, found, strict=True):
            if flat_gradient is not None:
                gradient = flat_gradient.unflatten(0, (R, B)).transpose(0, 1)
                summed[parameter] = summed[parameter] + gradient.sum((0, 1))
                of_module[parameter] = of_module[parameter] + gradient if parameter in of_module else gradient
    return [Explicit(gradients) for gradients in drawn.values() if gradients]


def _of(name: str, group: list[nn.Parameter], parts: list[Part]) -> list[Part]:
    # The parts that say something about the group.
    mine, wanted = [], set(group)
    for part in parts:
        held = wanted.intersection(part.parameters)
        if held and len(held) < len(part.parameters):
            raise NotLayerwiseError(f"a module has parameters in {name} and in another part of the model")
        if held:
            mine.append(part)
    return mine


def _moments(
    group: list[nn.Parameter],
    parts: list[Part],
    summed: dict[Tensor, Tensor],
    shape: tuple[int, int],
    *,
    per_element: bool,
) -> Moments:
    # `summed` are the gradients with respect to the parameters over data and repeats, as autograd gives them.
    R, B = shape
    explained = [parameter for part in parts for parameter in part.parameters]
    unexplained = set(group) - set(explained)
    if len(explained) + len(unexplained) != len(group):
        raise NotLayerwiseError("a parameter is used by more than one module")
    missed = [part.missed([summed[parameter] for parameter in part.parameters]) for part in parts]
    missed += [summed[parameter].abs().amax().sign() for parameter in unexplained]
    # What is not a number has no other road either: it is reported as such.
    if bool(torch.stack(missed).amax() > ROUNDING):
        raise NotLayerwiseError("the gradient reaches a parameter other than through the calls of its own module")
    gram = parts[0].gram() if parts else summed[group[0]].new_zeros(B, R, R)
    for part in parts[1:]:
        gram += part.gram()
    elements = None
    if per_element:
        variances: dict[Tensor, Tensor] = {parameter: torch.zeros_like(summed[parameter]) for parameter in group}
        for part in parts:
            variances |= zip(part.parameters, part.element_variances(), strict=True)
        elements = tuple(variances[parameter] for parameter in group)
    gradient = torch.cat([summed[parameter].reshape(-1) for parameter in group]).div_(R)
    return Moments(gram=gram, gradient=gradient, shared=True, element_variances=elements)
