"""ReinMax with its first Jacobian replaced by Gumbel-Rao's: ReinMaxRao."""

from typing import final

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution

from reparam_suite.distributions import bernoulli, categorical, family, samples
from reparam_suite.estimators import latents
from reparam_suite.estimators.base import carry, uniform
from reparam_suite.estimators.gumbel_rao import mean_jacobian
from reparam_suite.estimators.relaxation import Relaxation, noise_of, shortfalls_given
from reparam_suite.estimators.temperature import Temperature, checked_temperature, current
from reparam_suite.runtime.checks import integer


@final
class ReinMaxRao(Relaxation):
    """ReinMax with the Jacobian at the mean of probabilities and sample relaxed and averaged over conditional noise.

    (2 G_t(log pi_z, z) - 1/2 J(pi)) df/dz,  pi_z = (pi + z) / 2                                 [*B]
    G_t(l, z) = 1/R sum_r J(softmax((l + g_r) / t)) / t,  g_r Gumbel noise given argmax(l + g_r) = z

    J(p) = diag(p) - p p^T. Not ReinMax averaged over anything: given z that one has no noise. Biased even for a linear
    f, whose gradient it shrinks (to half as t goes to 0, where it is DARN / 2); the value and theta's gradient are not.
    Discrete; f differentiable in z, near the corners. K evaluations of f, R softmaxes each.
    Wang & Bui (2026), arXiv 2603.08257, in the form of the authors' code.

    Args:
        num_samples: K, samples per datum.
        num_conditional: R, draws of the noise given a sample.
        temperature: of the backward pass, above 0, or a schedule.

    Raises:
        ValueError: if `num_samples` or `num_conditional` is below 1 or `temperature` is not positive.
    """

    def __init__(self, *, num_samples: int = 1, num_conditional: int = 10, temperature: Temperature = 0.5) -> None:
        super().__init__(num_samples=num_samples)
        self.num_conditional = integer(f"num_conditional of {type(self).__name__}", num_conditional, least=1)
        self.temperature = checked_temperature(self, "temperature", temperature)

    def draw(self, q: Distribution) -> Tensor:
        """The noise of the conditional draws, `[R, K, *B, D]` or `[R, K, *B, D, C]`; samples are drawn from q."""
        logits = latents.logits_of(q)
        return noise_of(q, uniform((self.num_conditional, self.num_samples, *logits.shape), logits))

    def sample(self, q: Distribution) -> Tensor:
        """The hard sample, carrying the logits' step through both Jacobians; the conditional draws are constants."""
        logits, temperature = latents.logits_of(q), current(self.temperature)
        with torch.no_grad():
            hard, pi = samples(q, self.num_samples), q.mean
            middle = 0.5 * (pi + hard)
            at_middle = bernoulli(middle.logit()) if family(q) is Bernoulli else categorical(middle.log())
            shortfalls = (shortfall.div(temperature) for shortfall in shortfalls_given(at_middle, hard, self.draw(q)))
            first = mean_jacobian(q, shortfalls, self.num_conditional).mul_(2.0).div_(temperature)
        step = carry(logits)
        if family(q) is Bernoulli:
            return hard + (first - 0.5 * pi * (1.0 - pi)) * step
        second = pi * (step - (pi * step).sum(-1, keepdim=True))
        return hard + (first @ step.expand_as(hard).unsqueeze(-1)).squeeze(-1) - 0.5 * second
