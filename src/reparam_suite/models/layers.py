"""Layers of latents above the first: each explains the one below, and is the prior of it."""

from dataclasses import replace
from typing import Any, ClassVar, final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from reparam_suite.estimators import GradientEstimator
from reparam_suite.objectives import ELBO
from reparam_suite.runtime.checks import checked_shape

_SAMPLED = ELBO(kl="sampled")


@final
class LayeredPrior(nn.Module):
    """p(z) as a layer u above z makes it, and the q(u|z) that bounds it from below.

    log p(z) >= E_{q(u|z)}[log p(z|u) + log p(u) - log q(u|z)]

    The layer relates to z as the whole model does to a datum, and the prior of u may have layers of its own.

    Args:
        posterior: a module z `[*B, *event]` -> q(u|z).
        likelihood: a module u `[*, *event]` -> p(z|u).
        prior: a module () -> p(u).
        estimator: of the gradient through u; an object of this layer's own.
        context: a module from z to what a learned baseline sees, `[*B, .]`.
        event_shape: of z.
    """

    def __init__(
        self,
        *,
        posterior: nn.Module,
        likelihood: nn.Module,
        prior: nn.Module,
        estimator: GradientEstimator,
        context: nn.Module,
        event_shape: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.posterior = posterior
        self.likelihood = likelihood
        self.prior = prior
        self.estimator = estimator
        self.context = context
        self.event_shape = checked_shape("event_shape", event_shape)

    def forward(self) -> "LayeredDistribution":
        """p(z)."""
        return LayeredDistribution(self)

    def log_likelihood(self, z: Tensor, u: Tensor) -> Tensor:
        """log p(z|u), `[K, *B]` in nats, for u of `[K, *B, *event]`."""
        log_likelihood: Tensor = self.likelihood(u).log_prob(z)
        return log_likelihood

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """The parameters of this layer and those above it, by part: encoder, decoder, prior."""
        of_prior = getattr(self.prior, "parameter_groups", None)
        above = of_prior() if of_prior is not None else {"prior": list(self.prior.parameters())}
        return {
            "encoder": [*self.posterior.parameters(), *above.get("encoder", [])],
            "decoder": [*self.likelihood.parameters(), *above.get("decoder", [])],
            "prior": above.get("prior", []),
        }


@final
class LayeredDistribution(Distribution):
    """p(z), batch_shape `[]`, with latents u above z.

    Its log-density is not known: `log_prob` is an estimate, right on average alone, and there is no closed form of a
    divergence from it.

    Args:
        layer: the layer above z.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(self, layer: LayeredPrior) -> None:
        self.layer = layer
        super().__init__(torch.Size(), torch.Size(layer.event_shape), validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        """The lower bound on log p(z), `[*B]` in nats, for z of `[*B, *event]`.

        Its value is an unbiased estimate of the bound, and its gradient one of the bound's gradient with respect to the
        parameters of all layers above and to z. What trains the estimator's own parameters is added, zero in value.
        """
        target = replace(_SAMPLED(self.layer, value, 0), context=self.layer.context(value))
        estimate = self.layer.estimator(target)
        bound: Tensor = estimate.objective - estimate.control_loss
        return bound

    @torch.no_grad()
    def log_ratio(self, z: Tensor) -> Tensor:
        """log p(z, u) - log q(u|z), `[*B]` in nats, at one hard sample u; its exponential has the mean p(z)."""
        q, prior = self.layer.posterior(z), self.layer.prior()
        u = q.sample()
        log_likelihood = self.layer.log_likelihood(z, u.unsqueeze(0)).squeeze(0)
        log_prior: Tensor = prior.log_ratio(u) if hasattr(prior, "log_ratio") else prior.log_prob(u)
        ratio: Tensor = log_likelihood + log_prior - q.log_prob(u)
        return ratio

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Samples from the top layer down, `[*sample_shape, *event]`."""
        u = self.layer.prior().sample(torch.Size(sample_shape))
        z: Tensor = self.layer.likelihood(u).sample()
        return z
