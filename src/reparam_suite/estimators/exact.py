"""Estimators without noise: every state of a discrete latent, weighted by its probability."""

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Bernoulli, Distribution

from reparam_suite.estimators.base import Estimate, Expectation, GradientEstimator
from reparam_suite.estimators.bounds import Average, LogMeanExp
from reparam_suite.variational import OneHotCategorical, family


@final
class Enumeration(GradientEstimator):
    """The exact expectation: the sum over every state of q, and over every K-tuple of states on LogMeanExp.

    sum_z q(z) f(z)                                                                  [*B]

    No bias, no variance; f may be a black box. 2^D or C^D evaluations of f.

    Args:
        num_samples: K of a multi-sample bound; on Average the expectation does not depend on it.
        max_states: the largest number of states, or of K-tuples of them, that is accepted.

    Raises:
        ValueError: if q has more states than `max_states`.
    """

    families = (Bernoulli, OneHotCategorical)
    bounds = (Average, LogMeanExp)
    differentiates_f = False
    unbiased = True

    def __init__(self, *, num_samples: int = 1, max_states: int = 16_384) -> None:
        super().__init__(num_samples=num_samples)
        self.max_states = max_states

    def evaluations(self, q: Distribution) -> int:
        """The number of states, 2^D or C^D."""
        num_values = 2 if family(q) is Bernoulli else q.event_shape[-1]
        return int(num_values ** q.event_shape[0])

    def check(self, target: Expectation) -> None:
        """Refuses more states than `max_states` as well."""
        super().check(target)
        states = self.evaluations(target.q)
        tuple_size = self._tuple_size(target)
        if states**tuple_size > self.max_states:
            shape = "x".join(map(str, target.q.event_shape))
            wanted = f"{states:,}" if tuple_size == 1 else f"{states:,}^{tuple_size}"
            if states >= 10**12:
                wanted = f"about 10^{len(str(states**tuple_size)) - 1}"
            raise ValueError(
                f"Enumeration of {wanted} states (latents of shape {shape}) is too many: "
                f"max_states is {self.max_states:,}"
            )

    def estimate(self, target: Expectation) -> Estimate:
        """The weighted sum, differentiated as it stands."""
        z = self.states(target.q)
        log_q = target.q.log_prob(z)
        f = target.values(z)
        tuples = torch.cartesian_prod(*[torch.arange(len(z), device=f.device)] * self._tuple_size(target))
        tuples = tuples.reshape(len(tuples), -1).T  # [tuple size, number of tuples]
        objective = (log_q[tuples].sum(0).exp() * target.bound.value(f[tuples])).sum(0)
        return Estimate(objective=objective, control_loss=objective.new_zeros(()))

    def states(self, q: Distribution) -> Tensor:
        """Every z that q can give, `[S, *B, D]` or `[S, *B, D, C]`."""
        logits = q.base_dist.logits  # type: ignore[attr-defined]
        num_latents = q.event_shape[0]
        num_values = 2 if family(q) is Bernoulli else q.event_shape[-1]
        place = num_values ** torch.arange(num_latents, device=logits.device)
        digits = torch.arange(self.evaluations(q), device=logits.device).unsqueeze(-1) // place % num_values
        z = digits if family(q) is Bernoulli else F.one_hot(digits, num_values)
        batch = (1,) * len(q.batch_shape)
        return z.to(logits.dtype).reshape(len(z), *batch, *q.event_shape).expand(len(z), *logits.shape)

    def _tuple_size(self, target: Expectation) -> int:
        return 1 if isinstance(target.bound, Average) else self.num_samples
