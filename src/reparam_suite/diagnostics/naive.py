"""The slow, obvious road: R backward passes over the minibatch, one after the other."""

from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from reparam_suite.diagnostics.measuring import (
    checked_repeats,
    free_coordinates,
    measuring,
    trained_parameters,
    with_gradient,
)
from reparam_suite.diagnostics.statistics import GradientStatistics, from_draws
from reparam_suite.models import VAE
from reparam_suite.objectives import evidence
from reparam_suite.distributions import parameters, with_parameters


def naive_gradient_statistics(
    model: VAE, x: Tensor, num_repeats: int = 100, *, per_element: bool = False
) -> dict[str, GradientStatistics]:
    """What `gradient_statistics` gives, less precisely for its time, and without the data variance.

    Raises:
        ValueError: if `num_repeats` is below 4.
    """
    checked_repeats(num_repeats)
    groups = trained_parameters(model)
    draws: dict[str, list[list[Tensor]]] = {}
    with measuring(model, x):
        for _ in range(num_repeats):
            for name, gradients in draw_once(model, x, groups).items():
                draws.setdefault(name, []).append(gradients)
    return {
        name: from_draws([torch.stack(each) for each in zip(*repeats, strict=True)], per_element=per_element)
        for name, repeats in draws.items()
    }


def draw_once(model: VAE, x: Tensor, groups: dict[str, list[nn.Parameter]]) -> dict[str, list[Tensor]]:
    """One gradient of the mean objective over x, by group and variational parameter; to be called while `measuring`."""
    watched = _WatchedModel(model)
    target = evidence(watched, x, model.bound, model.kl, model.current_kl_weight())
    objective = model.estimator(target).objective.mean()
    wanted: dict[str, list[Tensor]] = {name: list(group) for name, group in groups.items()}
    wanted |= {name: [value] for name, value in zip(parameters(watched.q), watched.kept, strict=True)}
    gradients = torch.autograd.grad(
        objective, [each for group in wanted.values() for each in group], materialize_grads=True
    )
    left = iter(gradients)
    return {name: [free_coordinates(name, next(left)) for _ in group] for name, group in wanted.items()}


@final
class _WatchedModel:
    # What `evidence` asks of a model; the variational parameters are kept where their gradient can be asked for.

    q: Distribution

    def __init__(self, model: VAE) -> None:
        self.prior_distribution = model.prior_distribution
        self.log_likelihood = model.log_likelihood
        self.model = model
        self.kept: list[Tensor] = []

    def posterior_of(self, x: Tensor) -> Distribution:
        def keep(value: Tensor) -> Tensor:
            self.kept.append(with_gradient(value).view_as(value))
            return self.kept[-1]

        self.q = with_parameters(self.model.posterior_of(x), keep)
        return self.q
