"""How a model and a batch become the expectation whose gradient is wanted."""

from typing import Literal, Protocol

import torch
from torch import Tensor
from torch.distributions import Distribution

from reparam_suite.estimators import Bound, Expectation
from reparam_suite.distributions import kl_divergence

KL = Literal["analytic", "sampled"]


class LatentVariableModel(Protocol):
    """What `evidence` asks of a model; x is `[*B, P]`, z is `[K, *B, D]` or `[K, *B, D, C]`."""

    def posterior_of(self, x: Tensor, /) -> Distribution:
        """q(z|x), batch_shape `[*B]`."""

    def prior_distribution(self) -> "Distribution | Layers":
        """p(z), batch_shape `[]`; or the layers above z, if p(z) is what they make it."""

    def log_likelihood(self, x: Tensor, z: Tensor, /) -> Tensor:
        """log p(x|z), `[K, *B]`, in nats."""


class Layers(LatentVariableModel, Protocol):
    """A prior that is a model itself: of z, as a model is of x, with latents above it."""

    def evidence(self, z: Tensor, /) -> Tensor:
        """A bound on log p(z), `[*B]` in nats, whose value and gradient are unbiased estimates."""


def evidence(model: LatentVariableModel, x: Tensor, bound: Bound, kl: KL, kl_weight: float = 1.0) -> Expectation:
    """The bound on log p(x), as an expectation under q(z|x).

    sampled:  f = log p(x|z) + w (log p(z) - log q(z))
    analytic: f = log p(x|z), and -w KL(q || p) in closed form

    Where p(z) is made by layers above z, f holds their evidence in the place of log p(z): an estimate within f.

    Args:
        model: gives q, p(z) and the likelihood.
        x: `[*B, P]`.
        bound: of the K values of f.
        kl: how the divergence from the prior enters.
        kl_weight: w; other than 1 the objective is no bound on log p(x).

    Raises:
        ValueError: if an analytic KL is asked for where there is none.
    """
    q, prior = model.posterior_of(x), model.prior_distribution()
    log_prior = prior.log_prob if isinstance(prior, Distribution) else prior.evidence
    if kl == "analytic":
        if not isinstance(prior, Distribution):
            raise ValueError("the KL to a prior of several layers has no closed form: kl must be sampled, got analytic")
        return Expectation(
            q=q,
            f=lambda z, _: model.log_likelihood(x, z),
            bound=bound,
            context=x,
            exact=-kl_weight * kl_divergence(q, prior),
        )

    def f(z: Tensor, q: Distribution) -> Tensor:
        return model.log_likelihood(x, z) + kl_weight * (log_prior(z) - q.log_prob(z))

    return Expectation(q=q, f=f, bound=bound, context=x)


@torch.no_grad()
def sampled_log_prior(prior: Distribution | Layers, z: Tensor) -> Tensor:
    """log p(z), `[*B]` in nats; of layers, log p(z, u) - log q(u|z) at one hard sample u of those above z.

    Its exponential has the mean p(z) in either case.
    """
    if isinstance(prior, Distribution):
        return prior.log_prob(z)
    q = prior.posterior_of(z)
    u = q.sample()
    log_likelihood = prior.log_likelihood(z, u.unsqueeze(0)).squeeze(0)
    return log_likelihood + sampled_log_prior(prior.prior_distribution(), u) - q.log_prob(u)


@torch.no_grad()
def divergence(q: Distribution, prior: Distribution | Layers) -> Tensor:
    """KL(q || p) in nats, `[*B]`: in closed form, or from one hard sample of every layer."""
    if isinstance(prior, Distribution):
        return kl_divergence(q, prior)
    z = q.sample()
    return q.log_prob(z) - sampled_log_prior(prior, z)


@torch.no_grad()
def held_out_bounds(
    model: LatentVariableModel, x: Tensor, num_samples: int, max_elements: int = 2**24
) -> dict[str, Tensor]:
    """The same bounds for every model and estimator, from hard samples of q; each `[*B]`, in nats.

    elbo = reconstruction - kl, the KL in closed form, or from the same samples where there are several layers; bound is
    the importance-weighted one with K = `num_samples`.

    Args:
        model: gives q, p(z) and the likelihood.
        x: `[*B, P]`.
        num_samples: K, drawn in chunks.
        max_elements: pixels decoded at a time, over samples and data.
    """
    q, prior = model.posterior_of(x), model.prior_distribution()
    log_sum = torch.full(x.shape[:-1], -torch.inf, dtype=x.dtype, device=x.device)
    reconstruction, sampled_kl = torch.zeros_like(log_sum), torch.zeros_like(log_sum)
    left = num_samples
    while left:
        chunk = min(left, max(1, max_elements // x.numel()))
        z = q.sample((chunk,))
        log_likelihood = model.log_likelihood(x, z)
        log_ratio = sampled_log_prior(prior, z) - q.log_prob(z)
        log_sum = torch.logaddexp(log_sum, (log_likelihood + log_ratio).logsumexp(0))
        reconstruction += log_likelihood.sum(0) / num_samples
        sampled_kl -= log_ratio.sum(0) / num_samples
        left -= chunk
    kl = kl_divergence(q, prior) if isinstance(prior, Distribution) else sampled_kl
    log_num_samples = torch.log(torch.tensor(float(num_samples), device=x.device))
    return {"elbo": reconstruction - kl, "bound": log_sum - log_num_samples, "reconstruction": reconstruction, "kl": kl}
