"""Gradient estimators side by side on one model."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from reparam_suite.comparison.estimator_training import train
from reparam_suite.comparison.fitness import check_batches, check_model, check_repeats
from reparam_suite.comparison.gradient_comparison import GradientComparison
from reparam_suite.comparison.references import mean_reference, reference_estimators
from reparam_suite.comparison.selection import Selection, selected
from reparam_suite.diagnostics import (
    DEFAULT_BUDGET,
    NUM_ROUNDS,
    EstimatorRow,
    MeasuredModel,
    ReferenceGradient,
    measure,
    trained_parameters,
)
from reparam_suite.diagnostics.measuring import device_of
from reparam_suite.estimators import GradientEstimator
from reparam_suite.runtime import checks
from reparam_suite.runtime.expressions import written
from reparam_suite.runtime.random_streams import forked_generator


def compare_gradients(
    model: MeasuredModel,
    batch: Any,
    estimators: Iterable[GradientEstimator],
    *,
    reference: GradientEstimator | None = None,
    train_on: Iterable[Any] = (),
    num_repeats: int = 64,
    memory_budget: int = DEFAULT_BUDGET,
) -> GradientComparison:
    """Measures gradient estimators on a model and a minibatch: variance, direction, cost.

    It is the gradient of `model.expectation(batch)`, whatever the objective, in eval mode. Estimators are copied before
    they are used. What one learns or remembers (a baseline, a moving average, a temperature, a network) is trained on
    `train_on` first, while the model stands still, and its variance before is kept as `untrained`; the model's own
    estimator is measured with what it has learned with the model. The model's mode, gradients, buffers and own
    estimator, and the global random generators, are as before.

    Args:
        model: any nn.Module with `expectation(batch)` and an `estimator`.
        batch: a minibatch as `expectation` takes it.
        estimators: to be measured; one that does not fit is left out, with the reason.
        reference: an unbiased estimator whose expected gradient gives the cosine; by default the exact gradient, where
            it takes at most 1,024 evaluations of f per datum, else the mean of the unbiased estimators.
        train_on: minibatches, a step for each, for what estimators learn; without any they are measured as they start.
        num_repeats: gradients of each datum, a multiple of 8; standard errors fall with the root of it.
        memory_budget: bytes that a measurement may hold at a time.

    Raises:
        TypeError: if `model` has no expectation, one of `estimators` is no GradientEstimator, or a number no integer.
        ValueError: if the model has weights that are not finite, nothing to train, or does not take the batch; if there
            is no estimator, or `reference` is biased or does not fit.
    """
    *_, whole = comparisons(
        model,
        [batch],
        estimators,
        reference=reference,
        train_on=train_on,
        num_repeats=num_repeats,
        memory_budget=memory_budget,
    )
    return whole


def comparisons(
    model: MeasuredModel,
    batches: Sequence[Any],
    estimators: Iterable[GradientEstimator],
    *,
    reference: GradientEstimator | None = None,
    train_on: Iterable[Any] = (),
    num_repeats: int = 64,
    memory_budget: int = DEFAULT_BUDGET,
    after_batch: Callable[[str], object] = lambda _: None,
) -> Iterator[GradientComparison]:
    """As `compare_gradients`, on several minibatches, in steps: a comparison without rows, then one row more each time.

    Everything is checked before the first comparison is yielded, and nothing measured. Between two of them the model
    and the generators are as before.

    Args:
        model: as in `compare_gradients`.
        batches: minibatches of one size; variances are means over them.
        estimators: as in `compare_gradients`.
        reference: as in `compare_gradients`.
        train_on: as in `compare_gradients`.
        num_repeats: as in `compare_gradients`.
        memory_budget: as in `compare_gradients`.
        after_batch: called with the estimator's expression, or "reference", when a minibatch is done.

    Raises:
        TypeError: as `compare_gradients`.
        ValueError: as `compare_gradients`.
    """
    num_repeats = check_repeats(num_repeats)
    memory_budget = checks.integer("memory_budget", memory_budget, least=1)
    check_model(model)
    check_batches(model, batches)
    selection = selected(model, batches[0], estimators)
    held_against = _held_against(model, batches[0], selection, reference)
    comparison = GradientComparison(
        rows=(),
        parts=tuple(trained_parameters(model)),
        left_out=selection.left_out,
        learned_parts={name: selection.learned_parts(name) for name in selection.chosen},
        own=selection.own,
        reference=", ".join(held_against),
        num_estimators=len(selection.chosen),
    )
    yield comparison
    device = device_of(model)
    with forked_generator(device):
        seed = int(torch.randint(2**62, ()))  # from the generator's state, which stays as it is
    references: list[Mapping[str, ReferenceGradient]] = []
    for number, batch in enumerate(batches if held_against and selection.chosen else ()):
        with forked_generator(device, seed + number):
            references.append(
                mean_reference(
                    model, batch, [*held_against.values()], num_repeats=num_repeats, memory_budget=memory_budget
                )
            )
        after_batch("reference")
    training_batches = list(train_on)

    def measured(name: str, estimator: GradientEstimator, told: Callable[[str], object]) -> EstimatorRow:
        with forked_generator(device, seed):  # the numbers of a row do not depend on the others
            (row,) = measure(
                model,
                batches,
                {name: estimator},
                references=references,
                num_repeats=num_repeats // NUM_ROUNDS,
                memory_budget=memory_budget,
                after_batch=told,
            )
        return row

    for name, estimator in selection.chosen.items():
        if training_batches and comparison.learned_parts[name] == "initial":
            before = measured(name, estimator, lambda _: None)
            with forked_generator(device, seed):
                cost = train(model, estimator, training_batches)
            comparison = replace(
                comparison,
                learned_parts={**comparison.learned_parts, name: "trained here"},
                untrained={**comparison.untrained, name: before},
                training={**comparison.training, name: cost},
            )
        comparison = replace(comparison, rows=(*comparison.rows, measured(name, estimator, after_batch)))
        yield comparison


def _held_against(
    model: MeasuredModel, batch: Any, selection: Selection, reference: GradientEstimator | None
) -> dict[str, GradientEstimator]:
    if reference is None:
        return reference_estimators(model, batch, selection.chosen)
    checked = selected(model, batch, [reference])
    for reason in checked.left_out.values():
        raise ValueError(f"reference: {reason}")
    if not reference.unbiased:
        raise ValueError(f"reference: expected an unbiased estimator, got {written(reference)}")
    return checked.chosen
