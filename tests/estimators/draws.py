"""Independent gradients of one estimator on one q, drawn along a batch axis; and noise that a test chooses."""

import torch
from tests.statistics import SEED

from reparam_suite.estimators import Expectation


def replicate(estimator, family, phi, f, num_replicates, seed=SEED):
    """Objectives `[N]` and gradients `[N, *phi]` for q = family(phi) and f(z)."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        phi = phi.expand(num_replicates, *phi.shape).clone().requires_grad_()
        objective = estimator(Expectation(q=family(phi), f=lambda z, _: f(z))).objective
        return objective.detach(), torch.autograd.grad(objective.sum(), phi)[0]


def with_noise(estimator, noise):
    """The same estimator, drawing what it is given."""
    estimator.draw = lambda _: noise
    return estimator
