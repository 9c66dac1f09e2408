"""The general road: R gradients of each datum, one datum after the other, whatever the layers are."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import Distribution

from reparam_suite.diagnostics.measuring import free_coordinates, trained_parameters, with_gradient
from reparam_suite.diagnostics.statistics import (
    GradientSums,
    add,
    moments_of_draws,
    moments_of_own_draws,
    sums_of_moments,
)
from reparam_suite.models import VAE, LayeredPrior
from reparam_suite.objectives import evidence
from reparam_suite.distributions import parameters, with_parameters


def datumwise_sums(model: VAE, x: Tensor, num_repeats: int, *, per_element: bool = False) -> dict[str, GradientSums]:
    """What `layerwise_sums` gives, from explicit gradients of single data; to be called while `measuring`."""
    totals: dict[str, GradientSums] = {}
    for datum in x.split(1):
        drawn = explicit_gradients(model, datum, num_repeats)
        moments = {name: moments_of_draws(each, per_element=per_element) for name, each in drawn.by_group.items()}
        moments |= {name: moments_of_own_draws(each, per_element=per_element) for name, each in drawn.by_q.items()}
        shard = sums_of_moments(moments)
        totals = {name: add([totals[name], each]) if totals else each for name, each in shard.items()}
    return totals


@final
@dataclass(frozen=True)
class ExplicitGradients:
    """R gradients of each of B data, `[B, R, ...]`.

    Attributes:
        by_group: one tensor for each trained parameter of the group.
        by_q: by variational parameter, of the datum's own.
    """

    by_group: dict[str, list[Tensor]]
    by_q: dict[str, Tensor]


def explicit_gradients(model: VAE, x: Tensor, num_repeats: int) -> ExplicitGradients:
    """All R B gradients after one forward pass, each backward through the whole of it: for a small x `[B, P]`."""
    groups = trained_parameters(model)
    objective, at_q = repeated_objective(model, x, num_repeats)
    by_q = torch.autograd.grad(objective.sum(), list(at_q.values()), retain_graph=True, materialize_grads=True)
    wanted = [each for group in groups.values() for each in group]
    one_hot = torch.eye(objective.numel(), dtype=objective.dtype, device=objective.device).view(-1, *objective.shape)
    drawn = torch.autograd.grad(objective, wanted, one_hot, is_grads_batched=True, allow_unused=True)
    left = iter(
        [
            parameter.new_zeros(len(x), num_repeats, *parameter.shape)
            if each is None
            else each.unflatten(0, objective.shape).transpose(0, 1)
            for parameter, each in zip(wanted, drawn, strict=True)
        ]
    )
    return ExplicitGradients(
        by_group={name: [next(left) for _ in group] for name, group in groups.items()},
        by_q={name: free_coordinates(name, each).transpose(0, 1) for name, each in zip(at_q, by_q, strict=True)},
    )


def repeated_objective(model: VAE, x: Tensor, num_repeats: int) -> tuple[Tensor, dict[str, Tensor]]:
    """R independent objectives of each datum, `[R, B]`, and q's repeated parameters on the way to them."""
    repeated = _RepeatedModel(model, num_repeats, [])
    target = evidence(repeated, x.expand(num_repeats, *x.shape), model.bound, model.kl, model.current_kl_weight())
    objective = model.estimator(target).objective
    return objective, dict(zip(parameters(target.q), repeated.kept, strict=True))


@final
@dataclass(frozen=True)
class _RepeatedModel:
    # What `evidence` asks of a model, over x of [R, B, P]; q's repeated parameters are kept.
    model: VAE
    num_repeats: int
    kept: list[Tensor]

    def posterior_of(self, x: Tensor) -> Distribution:
        return with_parameters(self.model.posterior_of(x[0]), self._repeat)

    def prior_distribution(self) -> Distribution | LayeredPrior:
        return self.model.prior_distribution()

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        return self.model.log_likelihood(x, z)

    def _repeat(self, value: Tensor) -> Tensor:
        self.kept.append(with_gradient(value).expand(self.num_repeats, *value.shape))
        return self.kept[-1]
