"""The evidence lower bound, its KL weighted, warmed up or with free bits."""

from typing import Literal, get_args

from torch import Tensor
from torch.distributions import Distribution

from reparam_suite.distributions import factors, family, kl_divergence
from reparam_suite.estimators import Expectation
from reparam_suite.objectives.objective import LatentVariableModel, Objective, context_of
from reparam_suite.runtime import checks

KL = Literal["auto", "analytic", "sampled"]


class ELBO(Objective):
    """E_q[log p(x|z)] - w KL(q || p), the evidence lower bound where w is 1.

    analytic: f = log p(x|z), and -w KL(q || p) in closed form as `exact`
    sampled:  f = log p(x|z) + w (log p(z) - log q(z))

    With free bits the KL of every latent counts at least as much: Kingma et al. (2016), arXiv 1606.04934, eq. 15,
    for each datum and latent by itself. The weight: Higgins et al. (2017), beta-VAE; its warm-up: Bowman et al. (2016),
    arXiv 1511.06349.

    Args:
        kl: how the divergence from the prior enters; "auto" is analytic where the pair has a closed form and the
            estimator admits it.
        weight: w, of the divergence; other than 1 the objective is no bound.
        warmup_steps: steps over which the weight rises from 0.
        free_bits: nats per latent below which its KL is not lowered; needs a closed form for each latent.

    Raises:
        TypeError: if an argument is no number.
        ValueError: if one is out of range; when it is called, if the closed form that is asked for does not
            exist or the estimator does not admit it.
    """

    def __init__(self, *, kl: KL = "auto", weight: float = 1.0, warmup_steps: int = 0, free_bits: float = 0.0) -> None:
        if kl not in get_args(KL):
            raise ValueError(f"kl: expected {', '.join(get_args(KL))}, got {kl!r}")
        self.kl: KL = kl
        self.weight = checks.number("weight", weight, least=0.0)
        self.warmup_steps = checks.integer("warmup_steps", warmup_steps, least=0)
        self.free_bits = checks.number("free_bits", free_bits, least=0.0)
        if self.free_bits and kl == "sampled":
            raise ValueError(f"free_bits: expected 0 with a sampled KL, got {self.free_bits:g}")

    @property
    def record_as(self) -> str:
        """The name of the objective on record."""
        return "elbo" if self.weight == 1.0 and not self.free_bits else "objective"

    def weight_at(self, step: int) -> float:
        """The weight of the KL after `step` optimizer steps."""
        if not self.warmup_steps:
            return self.weight
        return self.weight * min(1.0, step / self.warmup_steps)

    def __call__(self, model: LatentVariableModel, x: Tensor, step: int) -> Expectation:
        """The expectation for the data x `[*B, *datum]`."""
        q, prior, weight = model.posterior(x), model.prior(), self.weight_at(step)
        divergence = self._divergence(model, q, prior)
        if divergence is not None:
            return Expectation(
                q=q, f=lambda z, _: model.log_likelihood(x, z), context=context_of(x, q), exact=-weight * divergence
            )

        def f(z: Tensor, q: Distribution) -> Tensor:
            value: Tensor = model.log_likelihood(x, z) + weight * (prior.log_prob(z) - q.log_prob(z))
            return value

        return Expectation(q=q, f=f, context=context_of(x, q))

    def kl_of(self, target: Expectation, step: int) -> Tensor | None:
        """KL(q || p), `[*B]`, cut off from the graph, if `target` has it in closed form."""
        weight = self.weight_at(step)
        if target.exact is None or self.free_bits or not weight > 0.0:
            return None
        return target.exact.detach() / -weight

    def _divergence(self, model: LatentVariableModel, q: Distribution, prior: Distribution) -> Tensor | None:
        """The KL in closed form, free bits included; None where it is sampled."""
        admitted = model.estimator.admits_exact
        if self.kl == "sampled" or (self.kl == "auto" and not admitted and not self.free_bits):
            return None
        if not admitted:
            raise ValueError(
                f"kl: expected a sampled KL for {type(model.estimator).__name__}, which needs all of log q inside f, "
                f"got {f'free_bits {self.free_bits:g}' if self.free_bits else 'analytic'}"
            )
        if self.free_bits:
            return self._with_free_bits(q, prior)
        divergence = kl_divergence(q, prior)
        if divergence is None and self.kl == "analytic":
            raise ValueError(
                f"kl: expected sampled or auto, since KL({_name(q)} || {_name(prior)}) has no closed form, got analytic"
            )
        return divergence

    def _with_free_bits(self, q: Distribution, prior: Distribution) -> Tensor:
        own, theirs = factors(q), factors(prior)
        by_latent = None
        if len(own.batch_shape) == len(q.batch_shape) + 1 and own.batch_shape[-1:] == theirs.batch_shape[-1:]:
            by_latent = kl_divergence(own, theirs)
        if by_latent is None:
            raise ValueError(
                f"free_bits: expected a closed form of KL(q || p) for each latent, got {_name(q)} and {_name(prior)}"
            )
        return by_latent.clamp_min(self.free_bits).sum(-1)


def _name(distribution: Distribution) -> str:
    return family(distribution).__name__
