"""Independent gradients of one estimator on one q, drawn along a batch axis; and noise that a test chooses."""

import torch
from tests.statistics import SEED

from reparam_suite.estimators import Expectation
from reparam_suite.estimators.base import uniform


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


def name_of(value):
    """The class of an estimator or of a copula."""
    return type(value).__name__


def f_of_bits(z):
    """An f of bits `[..., D]` that no sum of one-bit functions is."""
    weight = torch.linspace(-1.3, 0.9, z.shape[-1], dtype=z.dtype)
    return (z * weight).sum(-1).exp() + z[..., 0] * z[..., -1]


def f_of_first_class(z):
    """The same of one-hot latents: of whether each is of the first class."""
    return f_of_bits(z[..., 0])


def estimated(estimator, family, phi, f):
    """Objective and gradient of q = family(phi) and f(z)."""
    phi = phi.clone().requires_grad_()
    objective = estimator(Expectation(q=family(phi), f=lambda z, _: f(z))).objective
    return objective.detach(), torch.autograd.grad(objective.sum(), phi)[0]


def logits_and_noise(num_noise):
    """Logits `[50, 7]` and uniforms for them."""
    torch.manual_seed(SEED)
    logits = 3.0 * torch.randn(50, 7, dtype=torch.float64)
    return logits, uniform((num_noise, *logits.shape), logits)


def as_two_classes(logits):
    """Logits of the two classes that bits are."""
    # Shifted, since a categorical does not see a constant.
    return torch.stack([logits + 0.3, torch.full_like(logits, 0.3)], -1)
