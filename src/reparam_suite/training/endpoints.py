"""A closer look at the gradient after the first step and after the last: where training began and where it ended."""

import logging
import math
from collections.abc import Iterator
from typing import Any, cast, final

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from reparam_suite.diagnostics import (
    GradientSums,
    MeasuredModel,
    ReferenceGradient,
    add,
    data_variance,
    exact_reference,
    gradient_bias,
    grouped_sums,
    reference_gradients,
    trained_parameters,
)
from reparam_suite.diagnostics.batches import num_data
from reparam_suite.diagnostics.measured_model import as_module, layers
from reparam_suite.diagnostics.measuring import measuring
from reparam_suite.training.gradients import fixed_batch, has_estimator, say_that_it_is_beyond
from reparam_suite.training.journal import Journal
from reparam_suite.training.record import StepRecord

_log = logging.getLogger(__name__)

NUM_REPEATS = 8
"""Gradients of each datum: 50 data then give the variance of an element to 8 %, less than a histogram shows."""

REFERENCE_ROWS = 2**14
"""The exact gradient is computed where it takes at most this many rows through the decoder, states times data."""

ELEMENT_VARIANCES = "gradients/element_variances/step_"
"""The name, but for the step, of the file with the variances by element."""


@final
class EndpointRecord(Callback):
    """Records at the first and the last step what is too expensive to record along training, on the same minibatch.

    grad/PART/data_variance and its standard error: of the expected gradient over minibatches of this size.
    gradients/element_variances/step_N.npz: the variance of every element, by part and parameter.
    grad/PART/relative_bias, squared_bias and cosine, with standard errors, against the exact gradient: where the
    latents have so few states, or the quadrature so few nodes, that it takes at most `REFERENCE_ROWS` rows. A value
    hidden by noise, as the cosine of a gradient whose length is lost in it, is left out.

    A model without `expectation(batch)` and `estimator` has no such record; where the gradient cannot be measured, a
    line on the log gives the reason.

    Args:
        journal: to record in.
        record: whose clock is stopped meanwhile.
    """

    def __init__(self, *, journal: Journal, record: StepRecord) -> None:
        self._journal = journal
        self._record = record

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: Any, batch_idx: int
    ) -> None:
        """Measures after the first step."""
        if trainer.global_step == 1:
            self._measure(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measures after the last step."""
        self._measure(trainer, pl_module)

    def _measure(self, trainer: Trainer, module: LightningModule) -> None:
        kept = f"{ELEMENT_VARIANCES}{trainer.global_step}"
        if kept in self._journal.arrays:  # a run of one step, batches that are accumulated, a run resumed at its end
            return
        self._record.pause()
        if not has_estimator(module) or (batch := fixed_batch(trainer)) is None:
            return
        model = cast("MeasuredModel", module)
        try:
            parts = grouped_sums(model, batch, NUM_REPEATS, per_element=True)
            bias = _bias(model, batch)
        except ValueError as reason:
            _log.info("bias and elements of the gradient are not measured: %s", reason)
            return
        self._journal.write(dict(_spread_over_data(parts)) | bias, trainer.global_step)
        self._journal.keep(dict(_element_variances(model, parts)), kept)


def _spread_over_data(parts: dict[str, list[GradientSums]]) -> Iterator[tuple[str, float]]:
    for name, sums in parts.items():
        if sums[0].shared and len(sums) > 2:
            measured = data_variance(sums)
            value, error = float(measured.value), float(measured.standard_error)
            if math.isfinite(value) and math.isfinite(error):
                yield f"grad/{name}/data_variance", value
                yield f"grad/{name}/data_variance_standard_error", error
            elif len(sums) < int(sum(each.num_data for each in sums)):  # of single data nothing can be said
                say_that_it_is_beyond(name)


def _element_variances(model: MeasuredModel, parts: dict[str, list[GradientSums]]) -> Iterator[tuple[str, Tensor]]:
    # encoder/network.0.weight [O, I] and so on, of parameters; loc [B, D] and so on, of variational parameters.
    names = {parameter: name for name, parameter in as_module(model).named_parameters()}
    trained = trained_parameters(model)
    for part, sums in parts.items():
        # Rounding brings the variance of an element without noise below 0.
        variances = [variance.clamp_min(0.0) for variance in add(sums).statistics().element_variances or ()]
        keys = [f"{part}/{_within(names[parameter])}" for parameter in trained[part]] if part in trained else [part]
        yield from zip(keys, variances, strict=True)


def _within(name: str) -> str:
    # The parameter's name within the child module that has it.
    return name.partition(".")[2] or name


def _bias(model: MeasuredModel, batch: Any) -> dict[str, float]:
    reference = _affordable_reference(model, batch)
    if reference is None:
        return {}
    metrics = {}
    for part, bias in gradient_bias(model, batch, reference).items():
        metrics[f"grad/{part}/relative_bias"] = float(bias.relative)
        metrics[f"grad/{part}/squared_bias"] = float(bias.squared_bias)
        metrics[f"grad/{part}/squared_bias_standard_error"] = float(bias.squared_bias_error)
        metrics[f"grad/{part}/cosine"] = float(bias.cosine)
        metrics[f"grad/{part}/cosine_standard_error"] = float(bias.cosine_error)
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def _affordable_reference(model: MeasuredModel, batch: Any) -> dict[str, ReferenceGradient] | None:
    try:
        reference = exact_reference(model, batch)
    except ValueError:  # there is none for so many states, or for this bound
        return None
    with measuring(model):
        q = model.expectation(batch).q
    # Every state of a layer has all states of the layer above it.
    states = reference.evaluations(q) ** sum(1 for _ in layers(as_module(model)))
    if states * num_data(batch) > REFERENCE_ROWS:
        return None
    return reference_gradients(model, batch, reference)
