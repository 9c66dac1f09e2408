"""Whether a model and a batch can be measured: found before anything is."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from reparam_suite.diagnostics import FEWEST_REPEATS, NUM_ROUNDS, MeasuredModel, measuring, trained_parameters
from reparam_suite.diagnostics.batches import part
from reparam_suite.diagnostics.measured_model import as_module
from reparam_suite.estimators import Expectation
from reparam_suite.runtime import checks


def check_repeats(num_repeats: int, name: str = "num_repeats") -> int:
    """`num_repeats`, if so many gradients can be drawn in equal rounds.

    Raises:
        TypeError: if it is no integer.
        ValueError: naming the smallest that can.
    """
    num_repeats = checks.as_integer(name, num_repeats)
    if num_repeats < NUM_ROUNDS * FEWEST_REPEATS or num_repeats % NUM_ROUNDS:
        raise ValueError(
            f"{name}: expected a multiple of {NUM_ROUNDS}, at least {NUM_ROUNDS * FEWEST_REPEATS}, got {num_repeats}"
        )
    return num_repeats


def check_model(model: MeasuredModel) -> None:
    """Refuses a model without trainable parts, or with weights that are NaN or infinite.

    Raises:
        TypeError: if it has no `expectation` or no `estimator`.
        ValueError: naming the first tensor that is not finite.
    """
    module = as_module(model)
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if isinstance(tensor, nn.UninitializedParameter) or not tensor.is_floating_point():
            continue
        if not tensor.isfinite().all():
            found = "NaN" if tensor.isnan().any() else "an infinite one"
            raise ValueError(f"model: expected finite weights, got {found} in {name} of {type(model).__name__}")
    if not trained_parameters(model):
        raise ValueError(f"model: expected trainable parameters, got none in {type(model).__name__}")


def check_batches(model: MeasuredModel, batches: Sequence[Any]) -> None:
    """Refuses a batch that the model does not take.

    Raises:
        TypeError: if the model's expectation is no Expectation.
        ValueError: naming the shape of the batch, and the model's objection.
    """
    with measuring(model), torch.no_grad():
        for batch in batches:
            try:
                target = model.expectation(part(batch, slice(0, 1)))
            except Exception as error:
                reason = " ".join(str(error).split()) or type(error).__name__
                raise ValueError(
                    f"batch: expected one that {type(model).__name__}.expectation takes{_event_shape(model)}, "
                    f"got {_shown(batch)}: {reason}"
                ) from error
            if not isinstance(target, Expectation):
                raise TypeError(
                    f"model: expected {type(model).__name__}.expectation to return an Expectation, "
                    f"got {type(target).__name__}"
                )


def _event_shape(model: MeasuredModel) -> str:
    shape = getattr(model, "event_shape", None)
    return "" if shape is None else f", data of shape {tuple(shape)}"


def _shown(batch: Any) -> str:
    if isinstance(batch, Tensor):
        return f"{batch.dtype} of shape {tuple(batch.shape)}".removeprefix("torch.")
    if isinstance(batch, tuple | list):
        return f"{type(batch).__name__} ({', '.join(map(_shown, batch))})"
    return type(batch).__name__
