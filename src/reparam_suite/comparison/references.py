"""The gradient that others are held against: the exact one, or else the mean of the unbiased ones."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from reparam_suite.diagnostics import (
    MeasuredModel,
    ReferenceGradient,
    exact_reference,
    measuring,
    reference_gradients,
    unbiased_reference,
)
from reparam_suite.diagnostics.batches import part
from reparam_suite.estimators import GradientEstimator
from reparam_suite.runtime.expressions import written

MOST_EVALUATIONS = 1_024
"""Of f for each datum: an exact reference that needs more is made only where it is asked for."""

_TIMES_THE_REPEATS = 4
"""Gradients in a reference for each one of an estimator: its error is then below that of most estimators."""


def reference_estimators(
    model: MeasuredModel, batch: Any, chosen: Mapping[str, GradientEstimator]
) -> dict[str, GradientEstimator]:
    """The estimators that make the reference, by expression; none where no unbiased one fits.

    One exact estimator where it is at hand or takes at most MOST_EVALUATIONS; else the unbiased ones among those that
    are compared; else any unbiased one that fits.
    """
    exact = next((name for name, estimator in chosen.items() if estimator.noiseless and estimator.unbiased), None)
    if exact is not None:
        return {exact: chosen[exact]}
    try:
        found = exact_reference(model, batch)
        if _evaluations(model, batch, found) <= MOST_EVALUATIONS:
            return {written(found): found}
    except ValueError:
        pass  # it cannot be had, and is not needed
    if unbiased := {name: estimator for name, estimator in chosen.items() if estimator.unbiased}:
        return unbiased
    try:
        found = unbiased_reference(model, batch)
    except ValueError:
        return {}
    return {written(found): found}


def mean_reference(
    model: MeasuredModel,
    batch: Any,
    estimators: Sequence[GradientEstimator],
    *,
    num_repeats: int,
    memory_budget: int,
) -> dict[str, ReferenceGradient]:
    """The mean of the estimators' expected gradients, weighted by the inverse of their variances, by part.

    The draws are its own: what is compared with it is independent of it.

    Args:
        model: whose objective it is.
        batch: the minibatch.
        estimators: unbiased ones that fit.
        num_repeats: of each datum, of an estimator that is compared; the reference takes four times as many in all, and
            at least as many of each of its estimators.
        memory_budget: bytes.
    """
    repeats = max(num_repeats, -(-_TIMES_THE_REPEATS * num_repeats // len(estimators)))
    drawn = [
        reference_gradients(model, batch, estimator, num_repeats=repeats, memory_budget=memory_budget)
        for estimator in estimators
    ]
    return {name: _weighted([gradients[name] for gradients in drawn]) for name in drawn[0]}


def _weighted(gradients: Sequence[ReferenceGradient]) -> ReferenceGradient:
    without_noise = [reference for reference in gradients if reference.variance <= 0.0]
    if without_noise or len(gradients) == 1:
        return (without_noise or list(gradients))[0]
    precisions = torch.stack([1.0 / reference.variance for reference in gradients])
    weights = precisions / precisions.sum()
    return ReferenceGradient(
        gradient=torch.einsum("e,ep->p", weights, torch.stack([reference.gradient for reference in gradients])),
        variance=1.0 / precisions.sum(),
        estimator=", ".join(reference.estimator for reference in gradients),
        exact=False,
    )


def _evaluations(model: MeasuredModel, batch: Any, estimator: GradientEstimator) -> int:
    with measuring(model):
        return estimator.evaluations(model.expectation(part(batch, slice(0, 1))).q)
