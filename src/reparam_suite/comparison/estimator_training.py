"""Training of the learned and remembered parts of an estimator, on a model whose parameters stand still."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

import torch

from reparam_suite.diagnostics import MeasuredModel, estimated_by
from reparam_suite.diagnostics.measuring import device_of
from reparam_suite.estimators import GradientEstimator
from reparam_suite.runtime.random_streams import unchanged_streams

LEARNING_RATE = 1e-3
"""Of Adam, which trains the parameters of an estimator as a run's `control` part does by default."""


@final
@dataclass(frozen=True)
class TrainingCost:
    """The cost of training an estimator's own parts.

    Args:
        steps: one for each minibatch.
        evaluations: of f per datum, over all steps.
        milliseconds: of all steps together.
    """

    steps: int
    evaluations: int
    milliseconds: float


def train(model: MeasuredModel, estimator: GradientEstimator, batches: Iterable[Any]) -> TrainingCost:
    """Trains an estimator's own parameters, and moves its averages, by one step for each minibatch; the model stays.

    The model is in evaluation mode, as where gradients are measured, and the estimator in training mode.

    Args:
        model: that the estimator is for.
        estimator: is changed in place.
        batches: minibatches, as the model's `expectation` takes them.
    """
    clock = time.thread_time if device_of(model).type == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    steps, evaluations, began = 0, 0, clock()
    with estimated_by(model, estimator), _in_training(model, estimator), unchanged_streams(), torch.enable_grad():
        parameters = [parameter for parameter in estimator.parameters() if parameter.requires_grad]
        optimizer = torch.optim.Adam(parameters, lr=LEARNING_RATE) if parameters else None
        for batch in batches:
            target = model.expectation(batch)
            loss = estimator(target).control_loss
            if optimizer is not None and loss.requires_grad:
                gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    parameter.grad = gradient
                optimizer.step()
            steps, evaluations = steps + 1, evaluations + estimator.evaluations(target.q)
        for parameter in parameters:
            parameter.grad = None
    return TrainingCost(steps, evaluations, 1e3 * (clock() - began))


@contextmanager
def _in_training(model: Any, estimator: GradientEstimator) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    estimator.train()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
