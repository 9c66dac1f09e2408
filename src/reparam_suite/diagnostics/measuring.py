"""What every measurement has in common: the model as it is evaluated, with nothing of the training moved."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from reparam_suite.diagnostics.statistics import FEWEST_REPEATS
from reparam_suite.models import VAE
from reparam_suite.randomness import forked_generator

MODEL_GROUPS = ("encoder", "decoder", "prior")
"""The parts of a model whose gradient is measured; the estimator's own parameters are not among them."""


@contextmanager
def measuring(model: VAE, x: Tensor) -> Iterator[None]:
    """Evaluation mode and a forked generator; modes, random state and the estimator's buffers are restored."""
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(each, each.clone()) for each in model.estimator.buffers()]
    model.eval()
    try:
        with forked_generator(x.device), torch.enable_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)


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
