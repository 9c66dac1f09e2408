"""What is looked at more closely, after the first step and after the last: where training began and where it ended."""

import math
from collections.abc import Iterator
from typing import final

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from reparam_suite.diagnostics import (
    GradientSums,
    ReferenceGradient,
    add,
    data_variance,
    exact_reference,
    gradient_bias,
    grouped_sums,
    reference_gradients,
)
from reparam_suite.diagnostics.measured_model import trained_parameters
from reparam_suite.models import VAE
from reparam_suite.training.journal import Journal
from reparam_suite.training.record import StepRecord

NUM_REPEATS = 8
"""Gradients of each datum: 50 data then tell the variance of an element to 8 %, less than a histogram shows."""

REFERENCE_ROWS = 2**14
"""The exact gradient is had where it takes at most so many rows through the decoder, states times data."""

ELEMENT_VARIANCES = "gradients/element_variances/step_"
"""Name of the file with the variances by element, but for the step."""


@final
class EndpointRecord(Callback):
    """Records at the first and the last step what is too dear to be recorded along training, on the same minibatch.

    grad/GROUP/data_variance and its standard error: of the expected gradient over minibatches of this size.
    gradients/element_variances/step_N.npz: the variance of every element, by group and parameter.
    grad/GROUP/relative_bias, squared_bias and cosine, with standard errors, against the exact gradient: where the
    latents have so few states, or the quadrature so few nodes, that it takes `REFERENCE_ROWS` rows at most. What noise
    hides, the cosine of a gradient whose length is lost in it say, is left out.

    Args:
        journal: where to.
        record: whose clock stands still meanwhile.
    """

    def __init__(self, *, journal: Journal, record: StepRecord) -> None:
        self._journal = journal
        self._record = record

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: Tensor, batch_idx: int
    ) -> None:
        """Measures after the first step."""
        if trainer.global_step == 1:
            self._measure(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measures after the last step."""
        self._measure(trainer, pl_module)

    def _measure(self, trainer: Trainer, model: LightningModule) -> None:
        assert isinstance(model, VAE)
        kept = f"{ELEMENT_VARIANCES}{trainer.global_step}"
        if kept in self._journal.arrays:  # a run of one step, batches that are accumulated, a run resumed at its end
            return
        self._record.pause()
        x: Tensor = trainer.datamodule.sample_batch("train")  # type: ignore[attr-defined]
        groups = grouped_sums(model, x, NUM_REPEATS, per_element=True)
        spread = dict(_spread_over_data(groups))
        self._journal.write(spread | _bias(model, x), trainer.global_step)
        self._journal.keep(dict(_element_variances(model, groups)), kept)


def _spread_over_data(groups: dict[str, list[GradientSums]]) -> Iterator[tuple[str, float]]:
    for name, sums in groups.items():
        if sums[0].shared and len(sums) > 2:
            measured = data_variance(sums)
            yield f"grad/{name}/data_variance", float(measured.value)
            yield f"grad/{name}/data_variance_standard_error", float(measured.standard_error)


def _element_variances(model: VAE, groups: dict[str, list[GradientSums]]) -> Iterator[tuple[str, Tensor]]:
    # encoder/0.weight [O, I] and so on, of parameters; loc [B, D] and so on, of what every datum has of its own.
    names = {parameter: name for name, parameter in model.named_parameters()}
    trained = trained_parameters(model)
    for group, sums in groups.items():
        # Rounding brings the variance of what does not vary below 0.
        variances = [each.clamp_min(0.0) for each in add(sums).statistics().element_variances or ()]
        keys = [f"{group}/{names[each].partition('.')[2]}" for each in trained[group]] if group in trained else [group]
        yield from zip(keys, variances, strict=True)


def _bias(model: VAE, x: Tensor) -> dict[str, float]:
    reference = _affordable_reference(model, x)
    if reference is None:
        return {}
    figures = {}
    for group, bias in gradient_bias(model, x, reference).items():
        figures[f"grad/{group}/relative_bias"] = float(bias.relative)
        figures[f"grad/{group}/squared_bias"] = float(bias.squared_bias)
        figures[f"grad/{group}/squared_bias_standard_error"] = float(bias.squared_bias_error)
        figures[f"grad/{group}/cosine"] = float(bias.cosine)
        figures[f"grad/{group}/cosine_standard_error"] = float(bias.cosine_error)
    return {name: value for name, value in figures.items() if math.isfinite(value)}


def _affordable_reference(model: VAE, x: Tensor) -> dict[str, ReferenceGradient] | None:
    try:
        reference = exact_reference(model)
    except ValueError:  # there is none for so many states, or for this bound
        return None
    # Every state of a layer has all states of the layer above it.
    states = reference.evaluations(model.top_prior()) ** len(model.layers())
    if states * len(x) > REFERENCE_ROWS:
        return None
    return reference_gradients(model, x, reference)
