"""How far the expected gradient lies from the reference, in length and in direction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import final

import torch
from torch import Tensor

from reparam_suite.diagnostics.batches import Batch
from reparam_suite.diagnostics.gradients import Measurement
from reparam_suite.diagnostics.measured_model import MeasuredModel
from reparam_suite.diagnostics.measuring import measuring
from reparam_suite.diagnostics.memory import DEFAULT_BUDGET
from reparam_suite.diagnostics.reference import ReferenceGradient, reference_gradients
from reparam_suite.diagnostics.statistics import FEWEST_REPEATS, GradientSums
from reparam_suite.diagnostics.wide_numbers import doubled, squared_length

_CLEAR = 2.0
"""Standard errors by which a squared bias must exceed zero to be a number, and not a bound."""


@final
@dataclass(frozen=True, kw_only=True)
class GradientBias:
    """The expected gradient of one part of a model beside its reference; every field is `[]` and stays on the device.

    Attributes:
        squared_bias: |E g - reference|^2, estimated without bias: noise can bring it below 0.
        squared_bias_error: its standard error, that of the reference included.
        cosine: of the angle between E g and the reference.
        cosine_error: its standard error, that of the reference included.
        reference_squared_norm: |reference|^2, estimated without bias.
        reference_error: root of the trace of the covariance of the reference; 0 where it is exact.
    """

    squared_bias: Tensor
    squared_bias_error: Tensor
    cosine: Tensor
    cosine_error: Tensor
    reference_squared_norm: Tensor
    reference_error: Tensor

    @property
    def relative(self) -> Tensor:
        """|bias| / |reference|, 0 where noise hides it, `[]`."""
        return (self.squared_bias.clamp_min(0.0) / self.reference_squared_norm).sqrt()

    @property
    def is_seen(self) -> bool:
        """Whether |bias|^2 is more than two standard errors above 0."""
        return float(self.squared_bias) > _CLEAR * float(self.squared_bias_error)

    @property
    def resolution(self) -> float:
        """The relative bias that the noise may hide: |bias| / |reference| is below it, at two standard errors."""
        most = self.squared_bias.clamp_min(0.0) + _CLEAR * self.squared_bias_error
        return float((most / self.reference_squared_norm).sqrt())


def gradient_bias(
    model: MeasuredModel,
    batch: Batch,
    reference: Mapping[str, ReferenceGradient] | None = None,
    *,
    num_rounds: int = 8,
    num_repeats: int = FEWEST_REPEATS,
    memory_budget: int = DEFAULT_BUDGET,
) -> dict[str, GradientBias]:
    """The bias of the model's estimator over a minibatch, by part and by variational parameter.

    Several rounds of independent gradients are averaged; products of different rounds are free of the noise of each,
    and leaving out one at a time gives the standard errors. Nothing of the training moves.

    Args:
        model: with the estimator to measure.
        batch: the minibatch, the one that the reference was made on.
        reference: from `reference_gradients`; made anew if it is not given.
        num_rounds: M, at least 3.
        num_repeats: gradients of each datum in a round.
        memory_budget: bytes.

    Raises:
        ValueError: if `num_rounds` is below 3.
    """
    if num_rounds < 3:
        raise ValueError(f"num_rounds: expected at least 3, for a standard error, got {num_rounds}")
    reference = reference or reference_gradients(model, batch, memory_budget=memory_budget)
    with measuring(model):
        measurement = Measurement(model, batch)
        rounds = [measurement.sums(batch, num_repeats, memory_budget=memory_budget) for _ in range(num_rounds)]
    return {name: sums.bias() for name, sums in bias_sums(rounds, reference).items()}


@final
@dataclass(frozen=True, kw_only=True)
class BiasSums:
    """M independent gradients of one minibatch beside their reference, in float64; those of several add up.

    Attributes:
        gradients: their inner products with each other, `[M, M]`.
        apart: the inner products of their differences from the reference, `[M, M]`.
        along: their inner products with the reference, `[M]`.
        reference_squared_norm: |reference|^2, estimated without bias, `[]`.
        reference_variance: trace of the covariance of the reference, `[]`.
    """

    gradients: Tensor
    apart: Tensor
    along: Tensor
    reference_squared_norm: Tensor
    reference_variance: Tensor

    def bias(self, num_batches: int = 1) -> GradientBias:
        """Squares are means over the minibatches; the angle is that between all of their gradients, end to end."""
        M, variance, length = len(self.along), self.reference_variance, self.reference_squared_norm
        apart, lengths = _Pairs(self.apart), _Pairs(self.gradients)
        squared_bias = apart.mean - variance
        # The angle, from |E g|^2 and <E g, reference>.
        cosine = _cosine(self.along.mean(), lengths.mean, length)
        cosines = _cosine((self.along.sum() - self.along) / (M - 1), lengths.without_each, length)
        # An error e of the reference moves |bias|^2 by 2 <bias, e> and |e|^2, the angle by at most |e| / |reference|.
        by_reference = 4.0 * squared_bias.clamp_min(0.0) * variance + 2.0 * variance.square()
        turned = (1.0 - cosine.square()).clamp_min(0.0) * variance / length
        return GradientBias(
            squared_bias=squared_bias / num_batches,
            squared_bias_error=(_jackknife(apart.without_each) + by_reference).sqrt() / num_batches,
            cosine=cosine,
            cosine_error=(_jackknife(cosines) + turned).sqrt(),
            reference_squared_norm=length / num_batches,
            reference_error=(variance / num_batches).sqrt(),
        )


def bias_sums(
    rounds: Sequence[Mapping[str, GradientSums]], reference: Mapping[str, ReferenceGradient]
) -> dict[str, BiasSums]:
    """Of independent measurements of one minibatch, by part and by variational parameter."""
    stacked = {name: torch.stack([sums[name].gradient / sums[name].num_data for sums in rounds]) for name in rounds[0]}
    return {name: _sums(gradients, reference[name]) for name, gradients in stacked.items()}


def add_biases(batches: Sequence[Mapping[str, BiasSums]]) -> dict[str, BiasSums]:
    """The sums over minibatches, each measured in the same number of rounds."""
    return {name: _total([of_batch[name] for of_batch in batches]) for name in batches[0]}


def _sums(gradients: Tensor, reference: ReferenceGradient) -> BiasSums:
    # gradients is [M, P].
    apart = gradients - reference.gradient
    return BiasSums(
        gradients=doubled(gradients @ gradients.T),
        apart=doubled(apart @ apart.T),
        along=doubled(gradients @ reference.gradient),
        reference_squared_norm=squared_length(reference.gradient) - reference.variance,
        reference_variance=doubled(reference.variance),
    )


def _total(batches: Sequence[BiasSums]) -> BiasSums:
    names = [field.name for field in fields(BiasSums)]
    return BiasSums(**{name: torch.stack([getattr(of_batch, name) for of_batch in batches]).sum(0) for name in names})


@final
class _Pairs:
    # The mean of products of different rounds, and the same without each of the rounds.
    def __init__(self, gram: Tensor) -> None:
        M = len(gram)
        rows = gram.sum(-1) - gram.diagonal()
        self.mean = rows.sum() / (M * (M - 1))
        self.without_each = (rows.sum() - 2.0 * rows) / ((M - 1) * (M - 2))


def _cosine(product: Tensor, squared_norm: Tensor, reference_squared_norm: Tensor) -> Tensor:
    # nan where noise hides the length of a gradient; beyond 1 by no more than its own error.
    hidden = (squared_norm <= 0.0) | (reference_squared_norm <= 0.0)
    return torch.where(hidden, torch.nan, product / (squared_norm * reference_squared_norm).sqrt())


def _jackknife(without_each: Tensor) -> Tensor:
    M = len(without_each)
    return (without_each - without_each.mean()).square().sum() * (M - 1) / M
