"""What every measurement has in common: the model as it is evaluated, with nothing of the training moved."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from reparam_suite.diagnostics.statistics import FEWEST_REPEATS
from reparam_suite.estimators import GradientEstimator
from reparam_suite.models import VAE
from reparam_suite.objectives import evidence
from reparam_suite.runtime.random_streams import forked_generator

MODEL_GROUPS = ("encoder", "decoder", "prior")
"""The parts of a model whose gradient is measured; the estimator's own parameters are not among them."""


@contextmanager
def measuring(model: VAE, x: Tensor) -> Iterator[None]:
    """Evaluation mode and a forked generator; modes, random state and the estimator's buffers are restored."""
    modes = [(module, module.training) for module in model.modules()]
    estimators = [module for layer in model.layers() for module in layer.estimator.modules()]
    buffers = [_HeldBuffer(module, *each) for module in estimators for each in _own_buffers(module)]
    model.eval()
    try:
        with forked_generator(x.device), torch.enable_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode
        for buffer in buffers:
            buffer.restore()


@contextmanager
def estimated_by(model: VAE, estimator: GradientEstimator) -> Iterator[VAE]:
    """The model with another estimator in every layer, and a sampled KL where that one needs it; its own is restored.

    Layers above have copies of a new estimator, and their own where it is the model's own.

    Raises:
        ValueError: naming the estimator and what it does not fit.
    """
    layers, kl = model.layers(), model.kl
    own = [layer.estimator for layer in layers]
    like = next(model.parameters())
    model.estimator = estimator.to(device=like.device, dtype=like.dtype)
    if estimator is not own[0]:
        for above in layers[1:]:
            above.estimator = copy.deepcopy(estimator)
    if not estimator.admits_exact:
        model.kl = "sampled"
    try:
        x = like.new_zeros(1, model.num_features)
        with measuring(model, x):
            # One dummy datum: lazy layers get their shapes, and a misfit is found before anything is measured.
            estimator(evidence(model, x, model.bound, model.kl))
        yield model
    finally:
        model.kl = kl
        for layer, each in zip(layers, own, strict=True):
            layer.estimator = each


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


def _own_buffers(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    return module.named_buffers(recurse=False)


def trained_parameters(model: VAE) -> dict[str, list[nn.Parameter]]:
    """The parameters that are trained, by part of the model; parts without any are left out."""
    groups = model.parameter_groups()
    trained = {name: [each for each in groups[name] if each.requires_grad] for name in MODEL_GROUPS if name in groups}
    return {name: group for name, group in trained.items() if group}


def checked_repeats(num_repeats: int) -> int:
    """`num_repeats`, if a standard error can be had from so many.

    Raises:
        ValueError: if it is below 4.
    """
    if num_repeats < FEWEST_REPEATS:
        raise ValueError(
            f"num_repeats must be at least {FEWEST_REPEATS} for a variance with a standard error, got {num_repeats}"
        )
    return num_repeats


def free_coordinates(name: str, gradient: Tensor) -> Tensor:
    """The gradient by the variational parameter `name`; of a Cholesky factor, what lies above the diagonal is none."""
    return gradient.tril() if name == "scale_tril" else gradient


def with_gradient(value: Tensor) -> Tensor:
    """`value` where its gradient can be asked for: itself, or a leaf in the place of what is not trained."""
    return value if value.requires_grad else value.detach().requires_grad_()
