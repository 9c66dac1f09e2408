"""The road that every model has: R backward passes over the whole batch, one after the other."""

from dataclasses import replace

import torch
from torch import Tensor

from reparam_suite.diagnostics.batches import Batch, num_data
from reparam_suite.diagnostics.layers_at_evaluation import layers_off
from reparam_suite.diagnostics.measured_model import MeasuredModel, as_module, trained_parameters
from reparam_suite.diagnostics.measuring import checked_repeats, measuring
from reparam_suite.diagnostics.statistics import GradientStatistics, GradientSums, from_draws, sums_of_batch_draws
from reparam_suite.diagnostics.variational import carriers, free_coordinates, key


def naive_gradient_statistics(
    model: MeasuredModel, batch: Batch, num_repeats: int = 100, *, per_element: bool = False
) -> dict[str, GradientStatistics]:
    """The same as `gradient_statistics`, less precisely for its time, and without the data variance.

    Raises:
        ValueError: if `num_repeats` is below 4, or the model has batch norm.
    """
    checked_repeats(num_repeats)
    off = layers_off(as_module(model))
    with measuring(model):
        draws, _ = _drawn(model, batch, num_repeats)
    return {
        name: replace(from_draws(gradients, per_element=per_element), road="whole batch", off=off)
        for name, gradients in draws.items()
    }


def whole_batch_sums(
    model: MeasuredModel, batch: Batch, num_repeats: int, *, per_element: bool = False
) -> dict[str, GradientSums]:
    """The same as `layerwise_sums` without the spread over data; to be called while `measuring`."""
    draws, groups = _drawn(model, batch, num_repeats)
    B = num_data(batch)
    return {
        name: sums_of_batch_draws(gradients, B, shared=name in groups, per_element=per_element)
        for name, gradients in draws.items()
    }


def draw_once(model: MeasuredModel, batch: Batch) -> dict[str, list[Tensor]]:
    """One gradient of the mean objective, by part and variational parameter; to be called while `measuring`."""
    groups = trained_parameters(model)
    target = model.expectation(batch)
    at_q = carriers(target.q)
    objective = model.estimator(target).objective.mean()
    wanted = [parameter for group in groups.values() for parameter in group]
    left = iter(torch.autograd.grad(objective, [*wanted, *at_q.values()], materialize_grads=True))
    drawn = {name: [next(left) for _ in group] for name, group in groups.items()}
    return drawn | {key(name, groups): [free_coordinates(target.q, name, next(left))] for name in at_q}


def _drawn(model: MeasuredModel, batch: Batch, num_repeats: int) -> tuple[dict[str, list[Tensor]], set[str]]:
    draws: dict[str, list[list[Tensor]]] = {}
    for _ in range(num_repeats):
        for name, gradients in draw_once(model, batch).items():
            draws.setdefault(name, []).append(gradients)
    stacked = {
        name: [torch.stack(gradients) for gradients in zip(*repeats, strict=True)] for name, repeats in draws.items()
    }
    return stacked, set(trained_parameters(model))
