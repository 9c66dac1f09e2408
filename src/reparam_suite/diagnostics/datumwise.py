"""The general road: R gradients of each datum, one datum after the other, whatever the layers are."""

from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from reparam_suite.diagnostics.batches import Batch, device_of, mapped, num_data, part, repeated, split
from reparam_suite.diagnostics.calls import NotLayerwiseError
from reparam_suite.diagnostics.layout import NUM_PROBED, objective_of
from reparam_suite.diagnostics.measured_model import MeasuredModel, trained_parameters
from reparam_suite.diagnostics.statistics import (
    GradientSums,
    add,
    moments_of_draws,
    moments_of_own_draws,
    sums_of_moments,
)
from reparam_suite.diagnostics.variational import free_coordinates, key, rows_of
from reparam_suite.runtime.random_streams import forked_generator


def datumwise_sums(
    model: MeasuredModel, batch: Batch, num_repeats: int, *, per_element: bool = False
) -> dict[str, GradientSums]:
    """The same as `layerwise_sums`, from explicit gradients of single data; to be called while `measuring`."""
    totals: dict[str, GradientSums] = {}
    for datum in split(batch, 1):
        drawn = explicit_gradients(model, datum, num_repeats)
        moments = {name: moments_of_draws(draws, per_element=per_element) for name, draws in drawn.by_group.items()}
        moments |= {name: moments_of_own_draws(draws, per_element=per_element) for name, draws in drawn.by_q.items()}
        shard = sums_of_moments(moments)
        totals = {name: add([totals[name], moments]) if totals else moments for name, moments in shard.items()}
    return totals


def mixture_of_data(model: MeasuredModel, batch: Batch) -> str | None:
    """The reason why the model has no gradient for each datum alone; None if it has one.

    With the same noise, the objective of a datum and its gradient may not change with the other data of the batch.
    """
    few = part(batch, slice(0, NUM_PROBED))
    count = num_data(few)
    if count > 1:
        others = mapped(few, lambda tensor: tensor[-1:].expand_as(tensor))
    else:
        few = repeated(few, 2)
        count = 2
        others = mapped(few, lambda tensor: torch.cat([torch.zeros_like(tensor[:1]), tensor[1:]]))
    wanted = [parameter for group in trained_parameters(model).values() for parameter in group]
    found = []
    for data in (few, others):
        with forked_generator(device_of(batch)):
            try:
                objective = objective_of(model, data, count)[1]
            except NotLayerwiseError as reason:
                return str(reason)
            gradients = torch.autograd.grad(objective[-1], wanted, materialize_grads=True)
        found.append([objective[-1].detach(), *gradients])
    for one, other in zip(*found, strict=True):
        scale = float(one.abs().max()) if one.isfinite().all() else 1.0
        if not torch.allclose(one, other, rtol=1e-3, atol=1e-3 * scale, equal_nan=True):
            return "the objective of a datum depends on the other data of the batch"
    return None


@final
@dataclass(frozen=True)
class ExplicitGradients:
    """R gradients of each of B data, `[B, R, ...]`.

    Attributes:
        by_group: one tensor for each trained parameter of the part.
        by_q: by variational parameter, of the datum's own.
    """

    by_group: dict[str, list[Tensor]]
    by_q: dict[str, Tensor]


def explicit_gradients(model: MeasuredModel, batch: Batch, num_repeats: int) -> ExplicitGradients:
    """All R B gradients after one forward pass, each backward through the whole of it: for a small batch."""
    groups, shape = trained_parameters(model), (num_repeats, num_data(batch))
    q, objective = objective_of(model, repeated(batch, num_repeats), shape[0] * shape[1])
    at_q = rows_of(q, len(objective))
    by_q: tuple[Tensor, ...] = ()
    if at_q:  # a flow names no parameters
        by_q = torch.autograd.grad(objective.sum(), list(at_q.values()), retain_graph=True, materialize_grads=True)
    wanted = [parameter for group in groups.values() for parameter in group]
    left = iter(gradient.unflatten(0, shape).transpose(0, 1) for gradient in _gradients_of_each(objective, wanted))
    return ExplicitGradients(
        by_group={name: [next(left) for _ in group] for name, group in groups.items()},
        by_q={
            key(name, groups): free_coordinates(q, name, gradient).unflatten(0, shape).transpose(0, 1)
            for name, gradient in zip(at_q, by_q, strict=True)
        },
    )


def _gradients_of_each(objective: Tensor, wanted: list[Any]) -> list[Tensor]:
    # [N, ...] each, of N objectives; one after the other where some operation does not take N cotangents at once.
    one_hot = torch.eye(len(objective), dtype=objective.dtype, device=objective.device)
    try:
        drawn = torch.autograd.grad(
            objective, wanted, one_hot, is_grads_batched=True, allow_unused=True, retain_graph=True
        )
    except RuntimeError:
        each = [
            torch.autograd.grad(objective, wanted, row, retain_graph=True, materialize_grads=True) for row in one_hot
        ]
        return [torch.stack(column) for column in zip(*each, strict=True)]
    return [
        parameter.new_zeros(len(objective), *parameter.shape) if gradient is None else gradient
        for parameter, gradient in zip(wanted, drawn, strict=True)
    ]
