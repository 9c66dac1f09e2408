"""How noisy the gradient of a model is under its estimator, parameters and minibatch frozen."""

import torch
from torch import Tensor
from torch.distributions import Distribution, MultivariateNormal

from reparam_suite.diagnostics.measuring import checked_repeats, measuring, trained_parameters
from reparam_suite.diagnostics.statistics import GradientStatistics, from_draws
from reparam_suite.models import VAE
from reparam_suite.objectives import evidence
from reparam_suite.variational import family, parameters, with_parameters


def gradient_statistics(
    model: VAE, x: Tensor, num_repeats: int = 8, *, per_element: bool = False
) -> dict[str, GradientStatistics]:
    """Statistics of the gradient of the mean objective over x, by part of the model and by variational parameter.

    The keys are encoder, decoder and prior, where they have trained parameters, and the names of the variational
    parameters: logits, or loc and scale. The noise is the estimator's alone; an estimator with state, such as a moving
    average, is measured with that state frozen. Nothing of the training moves: modes, buffers, random state and `.grad`
    are as before.

    Args:
        model: with the estimator to measure.
        x: the minibatch, `[B, P]`.
        num_repeats: R, independent gradients; at least 3.
        per_element: whether the variance of every element is kept.

    Raises:
        ValueError: if `num_repeats` is below 3.
    """
    return naive_gradient_statistics(model, x, num_repeats, per_element=per_element)


def naive_gradient_statistics(
    model: VAE, x: Tensor, num_repeats: int = 8, *, per_element: bool = False
) -> dict[str, GradientStatistics]:
    """The same by R backward passes over the minibatch, one after the other: slow and obvious."""
    checked_repeats(num_repeats)
    groups = trained_parameters(model)
    draws: dict[str, list[list[Tensor]]] = {}
    with measuring(model, x):
        for _ in range(num_repeats):
            for name, gradients in _draw_once(model, x, groups).items():
                draws.setdefault(name, []).append(gradients)
    return {
        name: from_draws([torch.stack(each) for each in zip(*repeats, strict=True)], per_element=per_element)
        for name, repeats in draws.items()
    }


class _Watched:
    # The model, with the variational parameters of its q kept where their gradient can be asked for.
    def __init__(self, model: VAE) -> None:
        self.prior_distribution = model.prior_distribution
        self.log_likelihood = model.log_likelihood
        self.model = model
        self.q: Distribution
        self.kept: list[Tensor] = []

    def posterior_of(self, x: Tensor) -> Distribution:
        def keep(value: Tensor) -> Tensor:
            self.kept.append(value.view_as(value))
            return self.kept[-1]

        self.q = with_parameters(self.model.posterior_of(x), keep)
        return self.q


def _draw_once(model: VAE, x: Tensor, groups: dict[str, list[torch.nn.Parameter]]) -> dict[str, list[Tensor]]:
    watched = _Watched(model)
    target = evidence(watched, x, model.bound, model.kl, model.current_kl_weight())
    objective = model.estimator(target).objective.mean()
    wanted: dict[str, list[Tensor]] = {name: list(group) for name, group in groups.items()}
    wanted |= {name: [value] for name, value in zip(parameters(watched.q), watched.kept, strict=True)}
    gradients = torch.autograd.grad(
        objective, [each for group in wanted.values() for each in group], materialize_grads=True
    )
    left = iter(gradients)
    drawn = {name: [next(left) for _ in group] for name, group in wanted.items()}
    if family(watched.q) is MultivariateNormal:
        drawn["scale_tril"] = [drawn["scale_tril"][0].tril()]  # what lies above the diagonal is no parameter
    return drawn
