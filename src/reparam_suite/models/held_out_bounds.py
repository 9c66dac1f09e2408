"""Bounds on log p(x) from hard samples of q: the same for every model, objective and estimator."""

import math

import torch
from torch import Tensor
from torch.distributions import Distribution

from reparam_suite.distributions import kl_divergence
from reparam_suite.objectives import LatentVariableModel
from reparam_suite.runtime.random_streams import forked_everywhere


@torch.no_grad()
def log_ratio(q: Distribution, prior: Distribution, z: Tensor) -> Tensor:
    """log p(z) - log q(z) in nats, `[K, *B]`; of several layers log p(z, u) - log q(u|z) - log q(z) at one hard u."""
    log_prior = prior.log_ratio(z) if hasattr(prior, "log_ratio") else prior.log_prob(z)
    return log_prior - q.log_prob(z)


@torch.no_grad()
def divergence(q: Distribution, prior: Distribution) -> Tensor:
    """KL(q || p) in nats, `[*B]`: in closed form, or at one hard sample, which moves no generator."""
    closed_form = kl_divergence(q, prior)
    if closed_form is not None:
        return closed_form
    with forked_everywhere():
        return -log_ratio(q, prior, q.sample((1,))).squeeze(0)


@torch.no_grad()
def held_out_bounds(
    model: LatentVariableModel, x: Tensor, num_samples: int, max_elements: int = 2**24
) -> dict[str, Tensor]:
    """elbo, bound, reconstruction and kl of the data, each `[B]`, in nats.

    elbo = reconstruction - kl, the KL in closed form where there is one, else from the same samples; bound is the
    importance-weighted one with K = `num_samples`.

    Args:
        model: gives q, p(z) and the likelihood.
        x: `[B, *datum]`.
        num_samples: K, drawn in chunks.
        max_elements: numbers decoded at a time, over samples and data.
    """
    q, prior = model.posterior(x), model.prior()
    log_sums, reconstructions, ratios = [], [], []
    left = num_samples
    while left:
        chunk = min(left, max(1, max_elements // x.numel()))
        z = q.sample((chunk,))
        log_likelihood = model.log_likelihood(x, z)
        ratio = log_ratio(q, prior, z)
        log_sums.append((log_likelihood + ratio).logsumexp(0))
        reconstructions.append(log_likelihood.sum(0) / num_samples)
        ratios.append(ratio.sum(0) / num_samples)
        left -= chunk
    reconstruction = torch.stack(reconstructions).sum(0)
    closed_form = kl_divergence(q, prior)
    kl = -torch.stack(ratios).sum(0) if closed_form is None else closed_form
    bound = torch.stack(log_sums).logsumexp(0) - math.log(num_samples)
    return {"elbo": reconstruction - kl, "bound": bound, "reconstruction": reconstruction, "kl": kl}
