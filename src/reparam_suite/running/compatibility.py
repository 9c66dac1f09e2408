"""Whether data fit a model: found out on one batch before the first step, and refusals name both sides."""

from typing import Any

import torch
from torch import Tensor

from reparam_suite.data import DataModule, datum_of
from reparam_suite.estimators import Estimate, Expectation
from reparam_suite.models import EstimatorModule
from reparam_suite.running.likelihood_support import check_support
from reparam_suite.runtime.errors import UsageError
from reparam_suite.runtime.random_streams import forked_generator


def check_fit(model: Any, data: DataModule) -> None:
    """Gives learned parts of the estimator their shapes, and makes one estimate on a fixed batch.

    Of a model with `encode` and `decode`, the batch is held to the support of p(x|z).
    The model is in eval mode and generators are forked: training begins as if this had not been.

    Raises:
        UsageError: naming model and data, if rows are of another shape than the model takes, or outside the support of
            p(x|z), `expectation` returns no Expectation, or the model raises an error on them.
    """
    batch = data.sample_batch("train")
    x = datum_of(batch)
    event_shape = getattr(model, "event_shape", None)
    if event_shape is not None and isinstance(x, Tensor) and tuple(x.shape[1:]) != tuple(event_shape):
        raise UsageError(
            f"data: expected rows of shape {tuple(event_shape)}, the event_shape of {type(model).__name__}, "
            f"got {tuple(x.shape[1:])} from {data.name}"
        )
    modes = {module: module.training for module in model.modules()}
    device = torch.device("cpu") if data.trainer is None else data.trainer.strategy.root_device
    model.to(device)
    model.eval()
    try:
        with forked_generator(device):
            check_support(model, data, x)
        with forked_generator(device), torch.enable_grad():
            if hasattr(model, "materialize"):
                model.materialize(batch)
            target = model.expectation(batch)
            if not isinstance(target, Expectation):
                raise UsageError(
                    f"model: expected an Expectation from {type(model).__name__}.expectation, "
                    f"got {type(target).__name__}"
                )
            estimate = model.estimator(target)
        if not estimate.objective.isfinite().all():
            _refuse_missing(x, data)
        _check_trainable(model, estimate)
    except UsageError:
        raise
    except (ValueError, TypeError) as error:
        _refuse_missing(x, data)
        reason = str(error) or type(error).__name__
        raise UsageError(f"{type(model).__name__} on {data.name}: {reason}") from error
    except (RuntimeError, IndexError, KeyError) as error:  # within a module of the user's: shapes, types, members
        _refuse_missing(x, data)
        raise UsageError(
            f"model: expected one that takes the batches of {data.name}, {_shape(x)}, "
            f"got {type(model).__name__}: {_first_line(error)}"
        ) from error
    finally:
        for module, training in modes.items():
            module.training = training


def _check_trainable(model: Any, estimate: Estimate) -> None:
    # A training step of the model's own may have further losses.
    if getattr(type(model), "training_step", None) is not EstimatorModule.training_step:
        return
    if not (estimate.objective.requires_grad or estimate.control_loss.requires_grad):
        raise UsageError(
            "model: expected an objective that depends on parameters that are trained, through q or f, "
            f"got none in {type(model).__name__}.expectation"
        )


def _refuse_missing(x: Any, data: DataModule) -> None:
    if isinstance(x, Tensor) and (number := int((~x.isfinite()).sum())):
        raise UsageError(
            f"data: expected finite values, or a model whose objective is finite without them, got {number:,} of "
            f"{x.numel():,} values in a batch of {data.name} that are NaN or infinite"
        )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _shape(x: Any) -> str:
    return f"{list(x.shape)} of {x.dtype}" if isinstance(x, Tensor) else type(x).__name__
