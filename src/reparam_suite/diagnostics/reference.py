"""Gradients to hold others against: exact where the latents can be enumerated, else from many unbiased draws."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

from reparam_suite.diagnostics.datumwise import repeated_objective
from reparam_suite.diagnostics.gradients import sums_while_measuring
from reparam_suite.diagnostics.measuring import estimated_by, measuring, trained_parameters
from reparam_suite.diagnostics.memory import DEFAULT_BUDGET, graph_bytes
from reparam_suite.diagnostics.naive import draw_once
from reparam_suite.diagnostics.statistics import GradientSums
from reparam_suite.estimators import (
    Average,
    Enumeration,
    GradientEstimator,
    LeaveOneOut,
    Pathwise,
    Quadrature,
    ScoreFunction,
    StickTheLanding,
)
from reparam_suite.models import VAE


@final
@dataclass(frozen=True, kw_only=True)
class ReferenceGradient:
    """The expected gradient of the mean objective over a minibatch, of one group.

    Attributes:
        gradient: `[P]`, all parameters in one vector.
        variance: `[]`, trace of the covariance of that gradient about the true one; 0 where it is exact.
        estimator: what it was made by.
        exact: whether it has no error.
    """

    gradient: Tensor
    variance: Tensor
    estimator: str
    exact: bool


def exact_reference(model: VAE) -> GradientEstimator:
    """Enumeration of a discrete posterior, Quadrature of a normal one.

    Raises:
        ValueError: naming the model's number of states, latents or its bound, if it cannot be had.
    """
    normal = model.posterior.family in (Normal, MultivariateNormal)
    reference = Quadrature() if normal else Enumeration(num_samples=_bound_samples(model))
    with estimated_by(model, reference):
        return reference


def unbiased_reference(model: VAE) -> GradientEstimator:
    """A good unbiased estimator of the same bound: Pathwise or DReG of a normal posterior, else RLOO or VIMCO."""
    K = _bound_samples(model)
    if model.posterior.family in (Normal, MultivariateNormal):
        return Pathwise() if isinstance(model.bound, Average) else StickTheLanding(num_samples=K)
    if isinstance(model.bound, Average):
        return ScoreFunction(num_samples=8, baseline=LeaveOneOut())
    return ScoreFunction(num_samples=K, baseline=LeaveOneOut()) if K > 1 else ScoreFunction()


def reference_gradients(
    model: VAE,
    x: Tensor,
    estimator: GradientEstimator | None = None,
    *,
    num_repeats: int = 256,
    memory_budget: int = DEFAULT_BUDGET,
) -> dict[str, ReferenceGradient]:
    """The expected gradient over x `[B, P]`, by group and by variational parameter.

    Args:
        model: whose objective it is; its own estimator says only how many samples a multi-sample bound has.
        x: the minibatch.
        estimator: Enumeration or Quadrature, or any unbiased one; by default `exact_reference` where that can be had,
            else `unbiased_reference`: the result says which it was.
        num_repeats: how many gradients of each datum are averaged where they are noisy, rounded up to a multiple of 16.
        memory_budget: bytes.

    Raises:
        ValueError: if `estimator` is biased or does not fit the model, states that cannot be enumerated included.
    """
    chosen = estimator or _best_reference(model)
    if not chosen.unbiased:
        raise ValueError(f"a reference must be unbiased, and {type(chosen).__name__} is not")
    with estimated_by(model, chosen):
        if isinstance(chosen, Enumeration | Quadrature):
            return _exact_gradients(model, x, memory_budget)
        return _drawn_gradients(model, x, num_repeats, memory_budget)


def _best_reference(model: VAE) -> GradientEstimator:
    try:
        return exact_reference(model)
    except ValueError:
        return unbiased_reference(model)


def _bound_samples(model: VAE) -> int:
    return 1 if isinstance(model.bound, Average) else model.estimator.num_samples


def _exact_gradients(model: VAE, x: Tensor, memory_budget: int) -> dict[str, ReferenceGradient]:
    groups = trained_parameters(model)
    with measuring(model, x):
        held = [x, *model.parameters(), *model.buffers()]
        per_datum = 3 * graph_bytes(lambda: repeated_objective(model, x[:1], 1), held)
        shards: dict[str, list[Tensor]] = {}
        for data in x.split(max(1, memory_budget // per_datum)):
            for name, gradients in draw_once(model, data, groups).items():
                flat = torch.cat([each.reshape(-1) for each in gradients])
                shards.setdefault(name, []).append(flat * (len(data) / len(x)))
    return {
        name: ReferenceGradient(
            gradient=torch.stack(each).sum(0) if name in groups else torch.cat(each),
            variance=each[0].new_zeros(()),
            estimator=type(model.estimator).__name__,
            exact=True,
        )
        for name, each in shards.items()
    }


def _drawn_gradients(model: VAE, x: Tensor, num_repeats: int, memory_budget: int) -> dict[str, ReferenceGradient]:
    rounds: dict[str, list[GradientSums]] = {}
    num_rounds = -(-num_repeats // _REPEATS_OF_A_ROUND)
    with measuring(model, x):
        # Noise of its own: what is held against the reference starts from the random state that was found here.
        torch.manual_seed(int(torch.randint(2**62, ())))
        for _ in range(num_rounds):
            sums = sums_while_measuring(model, x, _REPEATS_OF_A_ROUND, memory_budget=memory_budget)
            for name, each in sums.items():
                rounds.setdefault(name, []).append(each)
    return {
        name: ReferenceGradient(
            gradient=torch.stack([each.gradient for each in sums]).mean(0) / sums[0].num_data,
            variance=torch.stack([each.statistics().variance for each in sums]).mean()
            / (num_rounds * _REPEATS_OF_A_ROUND),
            estimator=type(model.estimator).__name__,
            exact=False,
        )
        for name, sums in rounds.items()
    }


# Inner products of all repeats of a datum grow with their square: several rounds of few are cheaper.
_REPEATS_OF_A_ROUND = 16
