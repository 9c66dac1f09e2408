"""Gradients to hold others against: exact where the latents can be enumerated, else from many unbiased draws."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import Distribution

from reparam_suite.diagnostics.batches import Batch, num_data, part, split
from reparam_suite.diagnostics.gradients import Measurement
from reparam_suite.diagnostics.layers_at_evaluation import layers_off
from reparam_suite.diagnostics.measured_model import MeasuredModel, as_module, trained_parameters
from reparam_suite.diagnostics.measuring import device_of, estimated_by, incompatibility, measuring
from reparam_suite.diagnostics.memory import DEFAULT_BUDGET, graph_bytes
from reparam_suite.diagnostics.statistics import GradientSums
from reparam_suite.diagnostics.whole_batch import draw_once
from reparam_suite.distributions import is_discrete
from reparam_suite.estimators import (
    Average,
    Bound,
    Enumeration,
    GradientEstimator,
    LeaveOneOut,
    Pathwise,
    Quadrature,
    ScoreFunction,
    StickTheLanding,
)
from reparam_suite.runtime.random_streams import forked_generator, seed_generator


@final
@dataclass(frozen=True, kw_only=True)
class ReferenceGradient:
    """The expected gradient of the mean objective over a minibatch, of one part.

    Attributes:
        gradient: `[P]`, all parameters in one vector.
        variance: `[]`, trace of the covariance of that gradient about the true one; 0 where it is exact.
        estimator: the name of the class that made it.
        exact: whether it has no error.
    """

    gradient: Tensor
    variance: Tensor
    estimator: str
    exact: bool


def exact_reference(model: MeasuredModel, batch: Batch) -> GradientEstimator:
    """Enumeration of a discrete q, Quadrature of a continuous one.

    Args:
        model: whose gradient is wanted.
        batch: any: one datum of it is tried.

    Raises:
        ValueError: naming the number of states or latents, the family or the bound, if it cannot be computed.
    """
    q, _, num_samples = _asked(model, batch)
    reference = Enumeration(num_samples=num_samples) if is_discrete(q) else Quadrature()
    if reason := incompatibility(model, batch, reference):
        raise ValueError(reason)
    return reference


def unbiased_reference(model: MeasuredModel, batch: Batch) -> GradientEstimator:
    """A good unbiased estimator of the same bound: Pathwise or DReG where they fit, else RLOO or VIMCO.

    Args:
        model: whose gradient is wanted.
        batch: any: one datum of it is tried.

    Raises:
        ValueError: if none of them fits.
    """
    _, bound, K = _asked(model, batch)
    average = isinstance(bound, Average)
    pathwise = Pathwise() if average else StickTheLanding(num_samples=K)
    if incompatibility(model, batch, pathwise) is None:
        return pathwise
    several = 8 if average else K
    score = ScoreFunction(num_samples=several, baseline=LeaveOneOut()) if several > 1 else ScoreFunction()
    if reason := incompatibility(model, batch, score):
        raise ValueError(reason)
    return score


def reference_gradients(
    model: MeasuredModel,
    batch: Batch,
    estimator: GradientEstimator | None = None,
    *,
    num_repeats: int = 256,
    memory_budget: int = DEFAULT_BUDGET,
) -> dict[str, ReferenceGradient]:
    """The expected gradient over a minibatch, by part and by variational parameter.

    Args:
        model: whose objective it is; its own estimator says only how many samples a multi-sample bound has.
        batch: the minibatch.
        estimator: Enumeration, Quadrature, or any unbiased one; by default `exact_reference` where there is one,
            else `unbiased_reference`: the result says which it was.
        num_repeats: how many gradients of each datum are averaged where they are noisy, rounded up to a multiple of 16.
        memory_budget: bytes.

    Raises:
        ValueError: if `estimator` is biased or does not fit the model, states that cannot be enumerated included.
    """
    layers_off(as_module(model))  # refuses batch norm
    chosen = estimator or _best_reference(model, batch)
    if not chosen.unbiased:
        raise ValueError(f"estimator: expected an unbiased one for a reference, got {type(chosen).__name__}")
    if estimator is not None and (reason := incompatibility(model, batch, chosen)):
        raise ValueError(reason)
    with estimated_by(model, chosen):
        if chosen.noiseless:
            return _exact_gradients(model, batch, memory_budget)
        return _drawn_gradients(model, batch, num_repeats, memory_budget)


def _best_reference(model: MeasuredModel, batch: Batch) -> GradientEstimator:
    try:
        return exact_reference(model, batch)
    except ValueError:
        return unbiased_reference(model, batch)


def _asked(model: MeasuredModel, batch: Batch) -> tuple[Distribution, Bound, int]:
    # q, the bound and its K.
    with measuring(model):
        target = model.expectation(part(batch, slice(0, 1)))
    return target.q, target.bound, 1 if isinstance(target.bound, Average) else model.estimator.num_samples


def _exact_gradients(model: MeasuredModel, batch: Batch, memory_budget: int) -> dict[str, ReferenceGradient]:
    groups = trained_parameters(model)
    with measuring(model):
        with forked_generator(device_of(model)):
            kept = graph_bytes(lambda: model.estimator(model.expectation(part(batch, slice(0, 1)))).objective)
        portion = max(1, memory_budget // (3 * kept))
        if Measurement(model, batch).road == "whole batch":
            portion = num_data(batch)
        shards: dict[str, list[Tensor]] = {}
        for data in split(batch, portion):
            for name, gradients in draw_once(model, data).items():
                flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
                shards.setdefault(name, []).append(flat * (num_data(data) / num_data(batch)))
    return {
        name: ReferenceGradient(
            gradient=torch.stack(portions).sum(0) if name in groups else torch.cat(portions),
            variance=portions[0].new_zeros(()),
            estimator=type(model.estimator).__name__,
            exact=True,
        )
        for name, portions in shards.items()
    }


def _drawn_gradients(
    model: MeasuredModel, batch: Batch, num_repeats: int, memory_budget: int
) -> dict[str, ReferenceGradient]:
    rounds: dict[str, list[GradientSums]] = {}
    num_rounds = -(-num_repeats // _REPEATS_OF_A_ROUND)
    with measuring(model):
        # Noise of its own: what is held against the reference starts from the random state that was found here.
        seed_generator(device_of(model), int(torch.randint(2**62, ())))
        measurement = Measurement(model, batch)
        for _ in range(num_rounds):
            sums = measurement.sums(batch, _REPEATS_OF_A_ROUND, memory_budget=memory_budget)
            for name, of_part in sums.items():
                rounds.setdefault(name, []).append(of_part)
    return {
        name: ReferenceGradient(
            gradient=torch.stack([of_round.gradient for of_round in sums]).mean(0) / sums[0].num_data,
            variance=torch.stack([of_round.statistics().variance for of_round in sums]).mean()
            / (num_rounds * _REPEATS_OF_A_ROUND),
            estimator=type(model.estimator).__name__,
            exact=False,
        )
        for name, sums in rounds.items()
    }


# Inner products of all repeats of a datum grow with their square: several rounds of few are cheaper.
_REPEATS_OF_A_ROUND = 16
