"""Layers of latents above the first: each explains the one below, and is the prior of it."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution

from reparam_suite.estimators import Average, GradientEstimator
from reparam_suite.models.priors import Prior, PriorKind
from reparam_suite.networks import Activation, mlp
from reparam_suite.objectives import evidence
from reparam_suite.distributions import Posterior, widened


@final
@dataclass(frozen=True)
class Latents:
    """One layer of latents: how networks see it, and how their output becomes a distribution over it.

    Args:
        posterior: the family of the layer.
        size: D.
        signed: whether networks see bits as -1 and 1.
    """

    posterior: Posterior
    size: int
    signed: bool

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one z: `(D,)` or `(D, C)`."""
        return self.posterior.event_shape(self.size)

    @property
    def num_features(self) -> int:
        """How many numbers networks see of one z."""
        return math.prod(self.event_shape)

    @property
    def num_parameters(self) -> int:
        """How many numbers a network has to give for a distribution over the layer."""
        return self.posterior.num_parameters(self.size)

    def features(self, z: Tensor) -> Tensor:
        """What networks see of z: `[*, D]`, or `[*, D C]` if it is one-hot."""
        if len(self.event_shape) == 2:
            return z.flatten(-2)
        return 2.0 * z - 1.0 if self.signed and self.posterior.family is Bernoulli else z

    def distribution(self, raw: Tensor) -> Distribution:
        """A distribution over the layer, batch_shape `[*B]`, from a network's output `[*B, num_parameters]`."""
        return self.posterior.distribution(widened(raw), self.size)


@final
class LayeredPrior(nn.Module):
    """p(z) as a layer u above z makes it, and the q(u|z) that bounds it from below.

    log p(z) >= E_{q(u|z)}[log p(z|u) + log p(u) - log q(u|z)]

    It is to z what the whole model is to a datum: `evidence` takes it for a model of z. The prior of u may be layered
    in its turn.

    Args:
        latents: of z and of u alike.
        prior_network: of u.
        hidden_sizes: widths of the hidden layers of q(u|z), of p(z|u) in reverse.
        activation: between them.
        estimator: of the gradient through u; an object of this layer's own.
    """

    def __init__(
        self,
        *,
        latents: Latents,
        prior_network: "Prior | LayeredPrior",
        hidden_sizes: Sequence[int],
        activation: Activation,
        estimator: GradientEstimator,
    ) -> None:
        super().__init__()
        self.latents = latents
        self.prior_network = prior_network
        self.estimator = estimator
        widths = list(hidden_sizes)
        self.encoder = mlp(latents.num_features, widths, latents.num_parameters, activation)
        self.decoder = mlp(latents.num_features, widths[::-1], latents.num_parameters, activation)

    def forward(self) -> "LayeredPrior":
        """p(z): this very object, in the place of a distribution."""
        return self

    def evidence(self, z: Tensor) -> Tensor:
        """The lower bound on log p(z), `[*B]` in nats, for z of `[*B, D]` or `[*B, D, C]`.

        Its value is an unbiased estimate of the bound and its gradient one of the bound's gradient, by the parameters
        of all layers above and by z. What trains the estimator's own parameters rides along, zero in value.
        """
        target = replace(evidence(self, z, Average(), "sampled"), context=self.latents.features(z))
        estimate = self.estimator(target)
        bound: Tensor = estimate.objective - estimate.control_loss
        return bound

    def posterior_of(self, z: Tensor) -> Distribution:
        """q(u|z), batch_shape `[*B]`."""
        return self.latents.distribution(self.encoder(self.latents.features(z)))

    def prior_distribution(self) -> "Distribution | LayeredPrior":
        """p(u)."""
        prior: Distribution | LayeredPrior = self.prior_network()
        return prior

    def log_likelihood(self, z: Tensor, u: Tensor) -> Tensor:
        """log p(z|u), `[K, *B]` in nats, for u of `[K, *B, D]` or `[K, *B, D, C]`."""
        return self.given(u).log_prob(z)

    def given(self, u: Tensor) -> Distribution:
        """p(z|u), batch_shape `[*]`, for u of `[*, D]` or `[*, D, C]`."""
        return self.latents.distribution(self.decoder(self.latents.features(u)))

    @torch.no_grad()
    def sample(self, shape: tuple[int, ...] = ()) -> Tensor:
        """Samples of p(z), from the top layer down, `[*shape, D]` or `[*shape, D, C]`."""
        return self.given(self.prior_distribution().sample(shape)).sample()


def prior_of(
    *,
    latents: Latents,
    num_layers: int,
    kind: PriorKind,
    hidden_sizes: Sequence[int],
    activation: Activation,
    estimator: GradientEstimator,
) -> Prior | LayeredPrior:
    """The prior of the lowest of `num_layers` layers; every layer above it has a copy of the estimator of its own."""
    prior: Prior | LayeredPrior = Prior(family=latents.posterior.family, event_shape=latents.event_shape, kind=kind)
    for _ in range(num_layers - 1):
        prior = LayeredPrior(
            latents=latents,
            prior_network=prior,
            hidden_sizes=hidden_sizes,
            activation=activation,
            estimator=copy.deepcopy(estimator),
        )
    return prior
