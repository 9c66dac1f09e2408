"""Cost of the gradient's variance at equal precision: ours against the obvious loop of backward passes."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from reparam_suite.diagnostics import gradient_statistics
from reparam_suite.models import VAE

NAIVE_REPEATS = 10
FAST_REPEATS = 16
GROUPS = ("encoder", "decoder")


def naive(model: VAE, x: Tensor, *, per_element: bool) -> dict[str, Any]:
    """The obvious loop: R backward passes and running sums."""
    groups = {name: model.parameter_groups()[name] for name in GROUPS}
    wanted = [parameter for group in groups.values() for parameter in group]
    sums = [torch.zeros_like(parameter) for parameter in wanted]
    squares = [torch.zeros_like(parameter) for parameter in wanted]
    for _ in range(NAIVE_REPEATS):
        objective = model.estimator(model.expectation(x)).objective.mean()
        gradients = torch.autograd.grad(objective, wanted)
        torch._foreach_add_(sums, gradients)
        torch._foreach_addcmul_(squares, gradients, gradients)
    torch._foreach_addcmul_(squares, sums, sums, value=-1.0 / NAIVE_REPEATS)
    torch._foreach_div_(squares, NAIVE_REPEATS - 1.0)
    left = iter(squares)
    elements = {name: [next(left) for _ in group] for name, group in groups.items()}
    if per_element:
        return elements
    return {name: torch.stack([tensor.sum() for tensor in group]).sum() for name, group in elements.items()}


def fast(model: VAE, x: Tensor, *, per_element: bool) -> dict[str, Any]:
    """The suite's measurement."""
    measured = gradient_statistics(model, x, FAST_REPEATS, per_element=per_element)
    return {name: measured[name].element_variances if per_element else measured[name].variance for name in GROUPS}


def seconds(computation: Callable[[], object]) -> float:
    """Processor time of a computation on this thread."""
    start = time.process_time()
    computation()
    return time.process_time() - start


def at_equal_precision(model: VAE, x: Tensor, times: int, *, per_element: bool) -> dict[str, dict[str, float]]:
    """Times and errors of both roads, and how much cheaper ours is at equal precision, by group."""
    roads = {"naive": naive, "fast": fast}
    clocks: dict[str, list[float]] = {name: [] for name in roads}
    sums: dict[str, dict[str, list[Tensor]]] = {name: {} for name in roads}
    for index in range(times):
        torch.manual_seed(index)
        for name, road in roads.items():
            results: dict[str, Any] = {}
            clocks[name].append(
                seconds(lambda road=road, into=results: into.update(road(model, x, per_element=per_element)))
            )
            for group, values in results.items():
                flat = torch.cat([value.flatten() for value in values]) if per_element else values.reshape(1)
                first, second = sums[name].setdefault(
                    group, [torch.zeros_like(flat, dtype=torch.float64) for _ in "12"]
                )
                first += flat
                second += flat.double().square()
    report = {}
    for group in GROUPS:
        moments = {name: [moment / times for moment in of_road[group]] for name, of_road in sums.items()}
        truth = moments["fast"][0]
        errors = {name: (second - mean.square()) * times / (times - 1) for name, (mean, second) in moments.items()}
        # An element that never varies, the weight of a dead pixel say, has no relative error.
        varies = truth > 1e-6 * truth.mean()
        median = float((errors["naive"] / errors["fast"])[varies].median())
        errors = {name: float(squares.sum() / truth.square().sum()) for name, squares in errors.items()}
        milliseconds = {name: 1e3 * statistics.median(clock) for name, clock in clocks.items()}
        report[group] = {
            "naive_ms": milliseconds["naive"],
            "fast_ms": milliseconds["fast"],
            "naive_squared_relative_error": errors["naive"],
            "fast_squared_relative_error": errors["fast"],
            "median_element_times_cheaper": median * milliseconds["naive"] / milliseconds["fast"],
            "times_cheaper": milliseconds["naive"] * errors["naive"] / (milliseconds["fast"] * errors["fast"]),
        }
    return report
