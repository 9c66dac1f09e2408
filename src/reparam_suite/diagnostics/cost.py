"""The cost of one gradient: evaluations of f, milliseconds, memory."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, final

import torch
from torch import Tensor

from reparam_suite.diagnostics.batches import Batch
from reparam_suite.diagnostics.measured_model import MeasuredModel, as_module
from reparam_suite.diagnostics.measuring import device_of, measuring
from reparam_suite.diagnostics.memory import peak_bytes

N = TypeVar("N", float, Tensor)


@final
@dataclass(frozen=True, kw_only=True)
class GradientCost:
    """Of one gradient of one minibatch.

    Attributes:
        evaluations: rows of z handed to f for each datum.
        milliseconds: forward and backward, the estimator's own parameters included; the optimizer's step is not. With
            one CPU thread it is that thread's own time, which other processes leave alone.
        peak_bytes: memory held at a time, over what the model holds anyway.
    """

    evaluations: int
    milliseconds: float
    peak_bytes: int

    def normalized(self, variance: N) -> N:
        """The work-normalised variance, variance times milliseconds: that of the mean over a millisecond's gradients.

        Of two unbiased estimators the one with the lower figure learns more from the same time.
        """
        return variance * self.milliseconds


def gradient_cost(model: MeasuredModel, batch: Batch, *, num_timings: int = 9) -> GradientCost:
    """The cost of a training gradient over a batch, parameters frozen: the median of several timings.

    Nothing of the training moves.

    Raises:
        ValueError: if `num_timings` is below 1.
    """
    if num_timings < 1:
        raise ValueError(f"num_timings: expected at least 1, got {num_timings}")
    wanted = [parameter for parameter in as_module(model).parameters() if parameter.requires_grad]
    device = device_of(model)

    def gradient() -> None:
        estimate = model.estimator(model.expectation(batch))
        loss = estimate.control_loss - estimate.objective.mean()
        torch.autograd.grad(loss, wanted, allow_unused=True)

    with measuring(model):
        evaluations = model.estimator.evaluations(model.expectation(batch).q)
        peak = peak_bytes(gradient, device)  # and it warms up
        seconds = [_seconds(gradient, device) for _ in range(num_timings)]
    return GradientCost(evaluations=evaluations, milliseconds=1e3 * statistics.median(seconds), peak_bytes=peak)


def _seconds(computation: Callable[[], None], device: torch.device) -> float:
    alone = device.type == "cpu" and torch.get_num_threads() == 1
    clock = time.thread_time if alone else time.perf_counter
    _wait(device)
    start = clock()
    computation()
    _wait(device)
    return clock() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
