"""Use of the latents: how many of them carry information, how much each, and whether the prior covers them."""

import math
from abc import ABC, abstractmethod
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, LowRankMultivariateNormal, MultivariateNormal, Normal
from torchmetrics import Metric

from reparam_suite.distributions import OneHotCategorical, family, parameters, probabilities

ACTIVE = 0.01
"""A latent is active if the variance over data of its posterior mean is above this: Burda, Grosse & Salakhutdinov
(2016), arXiv 1509.00519, section 5.2."""


class LatentUse(Metric, ABC):
    """Use of D latents over a data set, by sums over batches and ranks.

    active_units     how many latents have a posterior mean whose variance over data is above 0.01, `[]`
    kl_per_latent    E_x KL(q(z_d|x) || p(z_d)), `[D]` in nats
    aggregate_kl     KL(q(z_d) || p(z_d)) with q(z_d) = E_x q(z_d|x), `[D]` in nats; the rest of kl_per_latent is what
                     z_d says about x

    Args:
        event_shape: of one z, `(D,)` or `(D, C)`.
    """

    full_state_update = False
    num_data: Tensor
    mean: Tensor
    squared_mean: Tensor
    kl: Tensor
    cross_entropy: Tensor

    def __init__(self, *, event_shape: tuple[int, ...], **options: Any) -> None:
        super().__init__(**options)
        shapes = {"num_data": (), "mean": event_shape, "squared_mean": event_shape}
        shapes |= {"kl": event_shape[:1], "cross_entropy": event_shape[:1]}
        for name, shape in shapes.items():
            self.add_state(name, torch.zeros(shape, dtype=torch.float64), dist_reduce_fx="sum")

    @torch.no_grad()
    def update(self, q: Distribution, p: Distribution) -> None:
        """Adds the posterior of a batch, batch_shape `[B]`, beside the prior, batch_shape `[]`.

        Raises:
            TypeError: if the families are not known, or p is made by layers above.
        """
        if (reason := _unknown(q, p)) is not None:
            raise TypeError(reason)
        mean = self.posterior_mean(q).double()
        self.num_data += len(mean)
        self.mean += mean.sum(0)
        self.squared_mean += mean.square().sum(0)
        self.add(q, p)

    @torch.no_grad()
    def compute(self) -> dict[str, Tensor]:
        """The figures over all data so far."""
        mean = self.mean / self.num_data
        variance = self.squared_mean / self.num_data - mean.square()
        if variance.dim() == 2:
            variance = variance.sum(-1)
        entropy = self.aggregate_entropy(mean)
        return {
            "active_units": (variance > ACTIVE).sum(),
            "kl_per_latent": self.kl / self.num_data,
            "aggregate_kl": self.cross_entropy / self.num_data - entropy,
        } | self.more(entropy)

    @abstractmethod
    def posterior_mean(self, q: Distribution) -> Tensor:
        """The mean of each latent, `[B, D]` or `[B, D, C]`."""

    @abstractmethod
    def add(self, q: Distribution, p: Distribution) -> None:
        """Adds the sums over the batch of KL(q(z_d|x) || p(z_d)) and of -E_q(z_d|x) log p(z_d)."""

    @abstractmethod
    def aggregate_entropy(self, mean: Tensor) -> Tensor:
        """The entropy of q(z_d), `[D]`, from its mean."""

    def more(self, entropy: Tensor) -> dict[str, Tensor]:  # noqa: ARG002
        """Further figures."""
        return {}


@final
class DiscreteLatentUse(LatentUse):
    """Use of D bits or categorical latents; the variances of a categorical latent's class probabilities are added up.

    code_perplexity  exp H(q(z_d)), how many values a latent takes, `[D]`: between 1 and C
    """

    def posterior_mean(self, q: Distribution) -> Tensor:
        """The probability of 1, or of each class."""
        return _known_probabilities(q)

    def add(self, q: Distribution, p: Distribution) -> None:
        """Sums over classes."""
        log_q, log_p = _log_probabilities(q), _log_probabilities(p)
        q_of_classes = log_q.exp()
        self.kl += (q_of_classes * (log_q - log_p)).sum((0, -1))
        self.cross_entropy -= (q_of_classes * log_p).sum((0, -1))

    def aggregate_entropy(self, mean: Tensor) -> Tensor:
        """- sum_c q_c log q_c."""
        of_classes = mean if mean.dim() == 2 else torch.stack([1.0 - mean, mean], -1)
        logs: Tensor = torch.special.xlogy(of_classes, of_classes)
        return -logs.sum(-1)

    def more(self, entropy: Tensor) -> dict[str, Tensor]:
        """The perplexity of the code."""
        return {"code_perplexity": entropy.exp()}


@final
class NormalLatentUse(LatentUse):
    """Use of D normal latents, each by its marginal if the posterior has a full covariance.

    The entropy of q(z_d), a mixture, is taken to be that of a normal with its mean and variance, which is larger: a
    lower bound on aggregate_kl.
    """

    variance: Tensor

    def __init__(self, *, event_shape: tuple[int, ...], **options: Any) -> None:
        super().__init__(event_shape=event_shape, **options)
        self.add_state("variance", torch.zeros(event_shape, dtype=torch.float64), dist_reduce_fx="sum")

    def posterior_mean(self, q: Distribution) -> Tensor:
        """Loc."""
        return q.mean

    def add(self, q: Distribution, p: Distribution) -> None:
        """In closed form."""
        variance, loc = q.variance.double(), q.mean.double()
        scale, centre = p.stddev.double(), p.mean.double()
        cross = (
            0.5 * (variance + (loc - centre).square()) / scale.square() + scale.log() + 0.5 * math.log(2.0 * math.pi)
        )
        self.variance += variance.sum(0)
        self.cross_entropy += cross.sum(0)
        self.kl += (cross - _normal_entropy(variance)).sum(0)

    def aggregate_entropy(self, mean: Tensor) -> Tensor:
        """Of a normal with the variance of q(z_d)."""
        second_moment = (self.variance + self.squared_mean) / self.num_data
        return _normal_entropy(second_moment - mean.square())


def latents_of(model: nn.Module, x: Tensor) -> tuple[Distribution, Distribution] | str:
    """q and p of a model's latents, or the reason why their use is not known; of several layers those of the top one.

    Args:
        model: with `posterior(x)` and `prior()`.
        x: `[B, ...]`.
    """
    layer: Any = model
    if not callable(getattr(layer, "posterior", None)) or not callable(getattr(layer, "prior", None)):
        return f"use of latents: expected a model with posterior(x) and prior(), got {type(model).__name__}"
    q: Distribution = layer.posterior(x)
    while hasattr(layer.prior, "posterior"):
        layer = layer.prior
        q = layer.posterior(q.sample())
    p: Distribution = layer.prior()
    if (reason := _unknown(q, p)) is not None:
        return reason
    return q, p


def latent_use(q: Distribution, p: Distribution) -> LatentUse | None:
    """The metric that fits latents with the posterior q and the prior p; None if there is none for their families."""
    if _unknown(q, p) is not None:
        return None
    kind = NormalLatentUse if probabilities(p) is None else DiscreteLatentUse
    return kind(event_shape=tuple(q.event_shape))


def kl_per_latent(q: Distribution, p: Distribution) -> Tensor | None:
    """E_x KL(q(z_d|x) || p(z_d)) over a batch, `[D]` in nats, of this process alone; None where it is not known."""
    use = latent_use(q, p)
    if use is None:
        return None
    use.to(q.mean.device).update(q, p)
    return use.kl / use.num_data


def _unknown(q: Distribution, p: Distribution) -> str | None:
    # The latents are bits, of C classes or normal, and those of q and p of one kind, one by one.
    of_q, of_p = probabilities(q), probabilities(p)
    discrete = of_q is not None and of_p is not None and q.event_shape == p.event_shape
    if discrete or (issubclass(family(q), _NORMAL) and issubclass(family(p), Normal)):
        return None
    names = " and ".join(family(latents).__name__ for latents in (q, p))
    return f"use of latents: expected bits, categorical or normal latents with a prior of the same family, got {names}"


_NORMAL = (Normal, MultivariateNormal, LowRankMultivariateNormal)
"""Distributions of which every latent by itself is normal."""


def _known_probabilities(q: Distribution) -> Tensor:
    found = probabilities(q)
    assert found is not None
    return found


def _log_probabilities(q: Distribution) -> Tensor:
    # [*B, D, C], bits as two classes; from the logits where a probability's logarithm may be too small for it.
    known, bits = _known_probabilities(q).double(), len(q.event_shape) == 1
    logits = parameters(q).get("logits") if issubclass(family(q), Bernoulli | OneHotCategorical) else None
    if logits is None:
        of_classes = torch.stack([1.0 - known, known], -1) if bits else known
        return of_classes.clamp_min(torch.finfo(known.dtype).tiny).log()
    if bits:
        return torch.stack([F.logsigmoid(-logits.double()), F.logsigmoid(logits.double())], -1)
    return logits.double().log_softmax(-1)


def _normal_entropy(variance: Tensor) -> Tensor:
    return 0.5 * (2.0 * math.pi * math.e * variance).log()
