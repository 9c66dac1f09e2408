"""The state that a model is measured in: evaluation mode, a forked generator, perhaps another estimator."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import TypeVar

import torch
from torch import Tensor, nn

from reparam_suite.diagnostics.batches import Batch, part
from reparam_suite.diagnostics.measured_model import MeasuredModel, as_module, estimators, layers
from reparam_suite.diagnostics.statistics import FEWEST_REPEATS
from reparam_suite.estimators import GradientEstimator
from reparam_suite.runtime import checks
from reparam_suite.runtime.random_streams import unchanged_streams

M = TypeVar("M", bound=MeasuredModel)


@contextmanager
def measuring(model: MeasuredModel) -> Iterator[None]:
    """Evaluation mode, no anomaly detection; modes, random state and buffers are restored.

    The random state is that of torch, numpy and Python, since a model may draw from each; the buffers are those of the
    estimators.
    """
    module = as_module(model)
    modes = [(child, child.training) for child in module.modules()]
    buffers = [
        _HeldBuffer(owner, *named)
        for estimator in estimators(module)
        for owner in estimator.modules()
        for named in owner.named_buffers(recurse=False)
    ]
    module.eval()
    try:
        # Anomaly detection is for training: per-datum gradients come out of vmap, where it has no rules.
        with unchanged_streams(), torch.enable_grad(), torch.autograd.set_detect_anomaly(False):
            yield
    finally:
        for child, mode in modes:
            child.training = mode
        for buffer in buffers:
            buffer.restore()


@contextmanager
def estimated_by(model: M, estimator: GradientEstimator) -> Iterator[M]:
    """The model with another estimator in the place of its own, and of those of its layers; its own are restored.

    Expectations are then made for that estimator. Layers within the model have copies of a new estimator, and their own
    where it is the model's own.
    """
    module = as_module(model)
    held = [(layer, layer.estimator) for layer in layers(module)]
    like = _first_tensor(model)
    if like is not None:
        estimator.to(device=like.device, dtype=like.dtype if like.is_floating_point() else None)
    if estimator is not model.estimator:
        for layer, _ in held:
            layer.estimator = estimator if layer is module else copy.deepcopy(estimator)
    try:
        yield model
    finally:
        for layer, own in held:
            layer.estimator = own


def incompatibility(model: MeasuredModel, batch: Batch, estimator: GradientEstimator) -> str | None:
    """The reason why the estimator does not fit the model's posterior and objective; None if it fits.

    One datum of the batch is tried, which also gives lazy layers of the estimator their shapes.
    """
    with estimated_by(model, estimator), measuring(model):
        try:
            estimator(model.expectation(part(batch, slice(0, 1))))
        except ValueError as reason:
            return str(reason)
    return None


def device_of(model: MeasuredModel) -> torch.device:
    """The device of the model's first parameter or buffer."""
    like = _first_tensor(model)
    return torch.device("cpu") if like is None else like.device


def checked_repeats(num_repeats: int) -> int:
    """`num_repeats`, if a standard error can be computed from so many.

    Raises:
        TypeError: if it is no integer.
        ValueError: if it is below 4.
    """
    num_repeats = checks.as_integer("num_repeats", num_repeats)
    if num_repeats < FEWEST_REPEATS:
        raise ValueError(
            f"num_repeats: expected at least {FEWEST_REPEATS}, for a variance with a standard error, got {num_repeats}"
        )
    return num_repeats


def _first_tensor(model: MeasuredModel) -> Tensor | None:
    module = as_module(model)
    return next(chain(module.parameters(), module.buffers()), None)


class _HeldBuffer:
    # A buffer and its value. Untouched ones are left alone: writing to one would invalidate a graph that saved it.
    def __init__(self, module: nn.Module, name: str, buffer: Tensor) -> None:
        self.module, self.name, self.buffer = module, name, buffer
        self.before, self.version = buffer.clone(), buffer._version

    def restore(self) -> None:
        if getattr(self.module, self.name) is not self.buffer:
            setattr(self.module, self.name, self.buffer)
        if self.buffer._version != self.version:
            with torch.no_grad():
                self.buffer.copy_(self.before)
