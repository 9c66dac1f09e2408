"""K mutually antithetic samples, coupled by a copula: ARMS, CARMS."""

from abc import ABC
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Distribution

from reparam_suite.estimators import latents
from reparam_suite.estimators.base import (
    Estimate,
    Expectation,
    GradientEstimator,
    carry,
)
from reparam_suite.estimators.bounds import Average
from reparam_suite.estimators.copulas import Copula, DirichletCopula


class CoupledSamples(GradientEstimator, ABC):
    """An estimator of K mutually antithetic samples of discrete latents.

    Args:
        num_samples: K, samples per datum.
        copula: how the K samples are coupled; DirichletCopula if none is given.

    Raises:
        ValueError: if `num_samples` is below 2.
    """

    bounds = (Average,)
    differentiates_f = False
    unbiased = True

    def __init__(self, *, num_samples: int = 4, copula: Copula | None = None) -> None:
        super().__init__(num_samples=num_samples, fewest_samples=2)
        self.copula = DirichletCopula() if copula is None else copula


@final
class ARMS(CoupledSamples):
    """K mutually antithetic Bernoulli samples in a leave-one-out score function, its mean corrected for the coupling.

    p (1 - p) / P(b_1 = 1, b_2 = 0)  1/(K - 1) sum_k (f_k - mean f) b_k              [*B, D]

    Unbiased; factorised Bernoulli; f may be a black box. K evaluations of f. The correction lies between 1/2 and 1 and
    is formed from logits without a division by a small number; with K = 2 this is DisARM.
    Dimitriev & Zhou (2021), arXiv 2105.14141.

    Args:
        num_samples: K, samples per datum.
        copula: how the K samples are coupled; DirichletCopula if none is given.

    Raises:
        ValueError: if `num_samples` is below 2.
    """

    def fits(self, q: Distribution) -> str | None:
        """D independent bits."""
        return latents.bits(q)

    def draw(self, q: Distribution) -> Tensor:
        """The logarithms of K coupled uniforms per latent, `[K, *B, D]`: one below log m draws the rarer value."""
        return self.copula.draw(self.num_samples, latents.logits_of(q))

    def estimate(self, target: Expectation) -> Estimate:
        """The mean over the coupled samples, carrying the corrected score term."""
        logits = latents.logits_of(target.q)
        with torch.no_grad():
            log_m = F.logsigmoid(-logits.abs())
            z = ((self.draw(target.q) < log_m) ^ (logits > 0)).to(logits.dtype)
            correction = logits.abs().sigmoid() / (1.0 - self.copula.overlap(log_m, self.num_samples))
        f = target.values(z)
        credit = target.bound.leave_one_out(f.detach())
        gradient = correction * (credit.unsqueeze(-1) * z).sum(0)
        objective = target.bound.value(f) + carry((gradient * logits).sum(-1))
        return Estimate(objective=objective, control_loss=objective.new_zeros(()))


@final
class CARMS(CoupledSamples):
    """K mutually antithetic categorical samples; each pair is weighed by the odds of an independent pair.

    1/(K (K - 1)) sum_{k<l} (f_k - f_l) (z_k - z_l) q(z_k) q(z_l) / P(z_k, z_l)      [*B, D, C]

    Unbiased; factorised categorical; f may be a black box. K evaluations of f. Each latent breaks a stick, its rarest
    class first, with coupled uniforms for each break. In this order every pair of classes keeps a positive probability
    and the weights, known in closed form, are below 2 for any logits. With C = 2 this is ARMS.
    Dimitriev & Zhou (2021), arXiv 2110.14002; the stick is that of Dong, Mnih & Tucker (2021), arXiv 2106.08056.

    Args:
        num_samples: K, samples per datum.
        copula: how the K samples are coupled; DirichletCopula if none is given.

    Raises:
        ValueError: if `num_samples` is below 2.
    """

    def fits(self, q: Distribution) -> str | None:
        """D independent one-hot latents."""
        return latents.one_hot(q)

    def draw(self, q: Distribution) -> Tensor:
        """The logarithms of K coupled uniforms per break, `[K, *B, D, C - 1]`: one below log m takes the class."""
        return self.copula.draw(self.num_samples, latents.logits_of(q)[..., 1:])

    def estimate(self, target: Expectation) -> Estimate:
        """The mean over the coupled samples, carrying the weighed sum over pairs."""
        logits = latents.logits_of(target.q)
        with torch.no_grad():
            log_p, order = logits.sort(-1)
            rest = log_p.exp().flip(-1).cumsum(-1).flip(-1)  # at least 1 / C, for the largest class is in it
            log_m = (log_p - rest.log())[..., :-1]
            taken = F.pad(self.draw(target.q) < log_m, (0, 1), value=True)
            stick = (taken & (taken.cumsum(-1) == 1)).to(logits.dtype)  # z in the order of the stick
            z = torch.empty_like(stick).scatter_(-1, order.expand_as(stick), stick)
        f = target.values(z)
        with torch.no_grad():
            weight = self._weight(log_m, rest[..., 1:] / rest[..., :-1])
            sums = _sum_over_pairs(f.detach(), stick, weight) / (self.num_samples * (self.num_samples - 1))
            gradient = torch.empty_like(sums).scatter_(-1, order, sums)
        objective = target.bound.value(f) + carry((gradient * logits).sum((-2, -1)))
        return Estimate(objective=objective, control_loss=objective.new_zeros(()))

    def _weight(self, log_m: Tensor, left: Tensor) -> Tensor:
        # q(a) q(b) / P(a, b), a before b on the stick, by a alone: both samples pass the breaks before a, one of them
        # takes a, and after that the other is on its own. m is at most 1/3 at every break that both can pass.
        overlap = self.copula.overlap(log_m, self.num_samples)
        m = log_m.exp()
        both_pass = left.square() / (1.0 - 2.0 * m + m * overlap)
        one_takes = left / (1.0 - overlap)
        return one_takes * F.pad(both_pass[..., :-1].cumprod(-1), (1, 0), value=1.0)


def _sum_over_pairs(f: Tensor, z: Tensor, weight: Tensor) -> Tensor:
    # sum_{k<l} (f_k - f_l) (z_k - z_l) weight[min(class of k, class of l)] `[*B, D, C]`, in K C steps instead of K^2:
    # it needs the samples of a class, and the f of those, before and after each class.
    weight = F.pad(weight, (0, 1))
    number = z.sum(0)
    total = ((f - f.mean(0)).unsqueeze(-1).unsqueeze(-1) * z).sum(0)

    def others(of_a_class: Tensor) -> Tensor:
        weighed, up_to = weight * of_a_class, of_a_class.cumsum(-1)
        return (weighed.cumsum(-1) - weighed) + weight * (up_to[..., -1:] - up_to)

    return total * others(number) - number * others(total)
