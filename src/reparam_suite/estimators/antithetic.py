"""Estimators from samples that repel each other: antithetic pairs, coupled K-tuples, swaps."""

from abc import abstractmethod
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Bernoulli, Distribution

from reparam_suite.runtime.defaults import fresh, lazily
from reparam_suite.estimators.base import (
    Estimate,
    Expectation,
    GradientEstimator,
    carry,
    require_at_least,
    uniform,
)
from reparam_suite.estimators.bounds import Average
from reparam_suite.estimators.copulas import Copula, DirichletCopula
from reparam_suite.distributions import OneHotCategorical, parameters


def require_pairs(estimator: GradientEstimator) -> None:
    """Refuses a number of samples that leaves one without its partner.

    Raises:
        ValueError: if `num_samples` is odd.
    """
    if estimator.num_samples % 2:
        name, given = type(estimator).__name__, estimator.num_samples
        raise ValueError(f"num_samples of {name} must be even, for its samples come in pairs, got {given}")


def antithetic_pairs(logits: Tensor, u: Tensor) -> Tensor:
    """The bits 1[u < p], then 1[1 - u < p], `[2, K/2, *B, D]` from uniforms `[K/2, *B, D]`."""
    noise = torch.logit(u)
    return torch.stack([noise < logits, -noise < logits]).to(logits.dtype)


def disarm_gradient(f: Tensor, z: Tensor, logits: Tensor) -> Tensor:
    """1/2 (f(b) - f(b')) (b - b') sigmoid(|logits|) of each pair, `[K/2, *B, D]`; f is `[2, K/2, *B]`."""
    return 0.5 * (f[0] - f[1]).unsqueeze(-1) * (z[0] - z[1]) * logits.abs().sigmoid()


class _Pairs(GradientEstimator):
    """K/2 antithetic pairs of Bernoulli samples, each made from one uniform a latent."""

    families = (Bernoulli,)
    bounds = (Average,)
    differentiates_f = False
    unbiased = True

    def __init__(self, *, num_samples: int = 2) -> None:
        super().__init__(num_samples=num_samples, fewest_samples=2)
        require_pairs(self)

    def draw(self, q: Distribution) -> Tensor:
        """One uniform a pair and latent, `[K/2, *B, D]`."""
        logits = parameters(q)["logits"]
        return uniform((self.num_samples // 2, *logits.shape), logits)

    def estimate(self, target: Expectation) -> Estimate:
        """The mean over both samples of all pairs, carrying the gradient that the pairs give."""
        logits = parameters(target.q)["logits"]
        with torch.no_grad():
            u = self.draw(target.q)
            z = antithetic_pairs(logits, u)
        f = target.values(z.flatten(0, 1))
        gradient = self.gradient(f.detach().unflatten(0, z.shape[:2]), z, u, logits.detach()).mean(0)
        objective = target.bound.value(f) + carry((gradient * logits).sum(-1))
        return Estimate(objective=objective, control_loss=objective.new_zeros(()))

    @abstractmethod
    def gradient(self, f: Tensor, z: Tensor, u: Tensor, logits: Tensor) -> Tensor:
        """What each pair says of the logits, `[K/2, *B, D]`; f is `[2, K/2, *B]`, z is `[2, K/2, *B, D]`."""


@final
class ARM(_Pairs):
    """Augment-REINFORCE-merge: an antithetic pair of Bernoulli samples, weighed by the noise that made it.

    (f(1[u > 1 - p]) - f(1[u < p])) (u - 1/2), averaged over pairs                   [*B, D]

    Unbiased; factorised Bernoulli; f may be a black box. K evaluations of f, K even.
    Yin & Zhou (2019), arXiv 1807.11143, theorem 1.

    Args:
        num_samples: K, samples a datum, two in a pair.

    Raises:
        ValueError: if `num_samples` is odd or below 2.
    """

    def gradient(self, f: Tensor, z: Tensor, u: Tensor, logits: Tensor) -> Tensor:  # noqa: ARG002
        """The difference of the pair's values times how far the noise lies from its middle."""
        return (f[1] - f[0]).unsqueeze(-1) * (u - 0.5).to(f.dtype)


@final
class DisARM(_Pairs):
    """Antithetic pairs of Bernoulli samples with the noise that made them integrated out.

    1/2 (f(b) - f(b')) (b - b') sigmoid(|logits|), averaged over pairs               [*B, D]

    Unbiased; factorised Bernoulli; f may be a black box. K evaluations of f, K even. It is ARM's conditional
    expectation given the pair, so that its variance is never larger.
    Dong, Mnih & Tucker (2020), arXiv 2006.10680; found independently, as U2G, by Yin et al. (2020).

    Args:
        num_samples: K, samples a datum, two in a pair.

    Raises:
        ValueError: if `num_samples` is odd or below 2.
    """

    def gradient(self, f: Tensor, z: Tensor, u: Tensor, logits: Tensor) -> Tensor:  # noqa: ARG002
        """The same, averaged over the noise that gives this pair."""
        return disarm_gradient(f, z, logits)


@final
class ARMS(GradientEstimator):
    """K mutually antithetic Bernoulli samples in a leave-one-out score function, its mean corrected for the coupling.

    p (1 - p) / P(b_1 = 1, b_2 = 0)  1/(K - 1) sum_k (f_k - mean f) b_k              [*B, D]

    Unbiased; factorised Bernoulli; f may be a black box. K evaluations of f. The correction lies between 1/2 and 1 and
    is formed from logits without a division by a small number; with K = 2 this is DisARM.
    Dimitriev & Zhou (2021), arXiv 2105.14141.

    Args:
        num_samples: K, samples a datum.
        copula: how the K samples are coupled.

    Raises:
        ValueError: if `num_samples` is below 2.
    """

    families = (Bernoulli,)
    bounds = (Average,)
    differentiates_f = False
    unbiased = True

    def __init__(self, *, num_samples: int = 4, copula: Copula = lazily(DirichletCopula)) -> None:
        super().__init__(num_samples=num_samples, fewest_samples=2)
        self.copula = fresh(copula)

    def draw(self, q: Distribution) -> Tensor:
        """The logarithms of K coupled uniforms a latent, `[K, *B, D]`: one below log m draws the rarer value."""
        return self.copula.draw(self.num_samples, parameters(q)["logits"])

    def estimate(self, target: Expectation) -> Estimate:
        """The mean over the coupled samples, carrying the corrected score term."""
        logits = parameters(target.q)["logits"]
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
class ARSM(GradientEstimator):
    """Augment-REINFORCE-swap-merge: the noise of two classes is swapped in every latent at once, for all pairs of them.

    sum_j (f(z^(c<->j)) - 1/C sum_m f(z^(m<->j))) (1/C - w_j)                        [*B, D, C]
    z^(c<->j) = argmin_i (log w_i - logits_i) once w_c and w_j are swapped, w uniform on the simplex

    Unbiased; factorised categorical; f may be a black box. K (1 + C (C - 1) / 2) evaluations of f, the swapped ones
    without a gradient and in chunks; with C = 2 this is ARM.
    Yin, Yue & Zhou (2019), arXiv 1905.01413.

    Args:
        num_samples: K, unswapped samples a datum: the value is their mean.
        chunk_size: how many swaps are evaluated at once.

    Raises:
        ValueError: if `num_samples` or `chunk_size` is below 1.
    """

    families = (OneHotCategorical,)
    bounds = (Average,)
    differentiates_f = False
    unbiased = True

    def __init__(self, *, num_samples: int = 1, chunk_size: int = 32) -> None:
        super().__init__(num_samples=num_samples)
        require_at_least(self, "chunk_size", chunk_size, 1)
        self.chunk_size = chunk_size

    def evaluations(self, q: Distribution) -> int:
        """K samples, and each of them with every pair of classes swapped."""
        num_classes = q.event_shape[-1]
        return self.num_samples * (1 + num_classes * (num_classes - 1) // 2)

    def draw(self, q: Distribution) -> Tensor:
        """The logarithms of points uniform on the simplex, `[K, *B, D, C]`."""
        logits = parameters(q)["logits"]
        return (-uniform((self.num_samples, *logits.shape), logits).log()).log().log_softmax(-1)

    def estimate(self, target: Expectation) -> Estimate:
        """The mean over the unswapped samples, carrying the merged gradient."""
        logits = parameters(target.q)["logits"]
        num_classes = logits.shape[-1]
        with torch.no_grad():
            log_w = self.draw(target.q)
            z = _race(log_w, logits)
        f = target.values(z)
        with torch.no_grad():
            first, second = torch.triu_indices(num_classes, num_classes, offset=1, device=z.device)
            swapped = torch.arange(num_classes, device=z.device).repeat(len(first), 1)
            swapped.scatter_(1, first.unsqueeze(-1), second.unsqueeze(-1))
            swapped.scatter_(1, second.unsqueeze(-1), first.unsqueeze(-1))
            parts = [
                target.values(_race(log_w[..., chunk].movedim(-2, 0), logits).flatten(0, 1))
                for chunk in swapped.split(self.chunk_size)
            ]
            f_swapped = torch.cat(parts).unflatten(0, (len(first), self.num_samples)).movedim(0, -1)
            table = f.detach()[..., None, None].expand(*f.shape, num_classes, num_classes).clone()
            table[..., first, second] = f_swapped
            table[..., second, first] = f_swapped
            merged = table - table.mean(-2, keepdim=True)  # [K, *B, C of c, C of j]
            gradient = ((1.0 / num_classes - log_w.exp()).to(f.dtype) @ merged.mT).mean(0)
        objective = target.bound.value(f) + carry((gradient * logits).sum((-2, -1)))
        return Estimate(objective=objective, control_loss=objective.new_zeros(()))


def _race(log_w: Tensor, logits: Tensor) -> Tensor:
    # The exponential race: one-hot at the smallest w / exp(logits), which is a draw from q.
    return F.one_hot((log_w - logits).argmin(-1), logits.shape[-1]).to(logits.dtype)


@final
class CARMS(GradientEstimator):
    """K mutually antithetic categorical samples; each pair is weighed by the odds of an independent pair.

    1/(K (K - 1)) sum_{k<l} (f_k - f_l) (z_k - z_l) q(z_k) q(z_l) / P(z_k, z_l)      [*B, D, C]

    Unbiased; factorised categorical; f may be a black box. K evaluations of f. Each latent breaks a stick, its rarest
    class first, with coupled uniforms for each break. In this order every pair of classes keeps a positive probability
    and the weights, known in closed form, are below 2 for any logits. With C = 2 this is ARMS.
    Dimitriev & Zhou (2021), arXiv 2110.14002; the stick is that of Dong, Mnih & Tucker (2021), arXiv 2106.08056.

    Args:
        num_samples: K, samples a datum.
        copula: how the K samples are coupled.

    Raises:
        ValueError: if `num_samples` is below 2.
    """

    families = (OneHotCategorical,)
    bounds = (Average,)
    differentiates_f = False
    unbiased = True

    def __init__(self, *, num_samples: int = 4, copula: Copula = lazily(DirichletCopula)) -> None:
        super().__init__(num_samples=num_samples, fewest_samples=2)
        self.copula = fresh(copula)

    def draw(self, q: Distribution) -> Tensor:
        """The logarithms of K coupled uniforms a break, `[K, *B, D, C - 1]`: one below log m takes the class."""
        return self.copula.draw(self.num_samples, parameters(q)["logits"][..., 1:])

    def estimate(self, target: Expectation) -> Estimate:
        """The mean over the coupled samples, carrying the weighed sum over pairs."""
        logits = parameters(target.q)["logits"]
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
