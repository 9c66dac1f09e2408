"""Estimators through the score, grad log q(z): f may be a black box."""

from typing import final

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Beta, Dirichlet, Distribution, Gamma, MultivariateNormal, Normal

from reparam_suite.runtime.defaults import fresh, lazily
from reparam_suite.estimators.base import Estimate, Expectation, GradientEstimator, carry, slopes
from reparam_suite.estimators.baselines import Baseline, NoBaseline
from reparam_suite.estimators.bounds import Average, LogMeanExp
from reparam_suite.distributions import OneHotCategorical, VonMises, samples, score_term


class _BaselineEstimator(GradientEstimator):
    # What the estimators share whose signal a baseline makes smaller.
    def __init__(self, *, num_samples: int = 1, baseline: Baseline = lazily(NoBaseline)) -> None:
        super().__init__(num_samples=num_samples)
        baseline = fresh(baseline)
        if num_samples < baseline.fewest_samples:
            raise ValueError(
                f"num_samples of {type(self).__name__} with baseline {type(baseline).__name__} must be at least "
                f"{baseline.fewest_samples}, got {num_samples}"
            )
        self.baseline = baseline

    @property
    def unbiased(self) -> bool:
        """As the baseline is."""
        return self.baseline.unbiased

    def check(self, target: Expectation) -> None:
        """Refuses a bound that the baseline is not defined for as well."""
        super().check(target)
        if not isinstance(target.bound, self.baseline.bounds):
            accepted = " or ".join(each.__name__ for each in self.baseline.bounds)
            raise ValueError(
                f"baseline {type(self.baseline).__name__} supports the bound {accepted}, "
                f"got {type(target.bound).__name__}"
            )

    def draw(self, q: Distribution) -> Tensor:
        """K samples without a gradient, `[K, *B, D]`."""
        return samples(q, self.num_samples)


@final
class ScoreFunction(_BaselineEstimator):
    """REINFORCE with a baseline b.

    1/K sum_k (f(z_k) - b_k) grad log q(z_k)                                         [*B]

    Unbiased if its baseline is; every family; f may be a black box. K evaluations of f.
    Glynn (1990); Williams (1992). On LogMeanExp with LeaveOneOut this is VIMCO, arXiv 1602.06725.

    Args:
        num_samples: K, samples a datum.
        baseline: what is subtracted from f.

    Raises:
        ValueError: if `num_samples` is below what the baseline needs.
    """

    families = (Normal, MultivariateNormal, Bernoulli, OneHotCategorical, Gamma, Beta, Dirichlet, VonMises)
    bounds = (Average, LogMeanExp)
    differentiates_f = False

    def estimate(self, target: Expectation) -> Estimate:
        """The bound, carrying credit times score."""
        with torch.no_grad():
            z = self.draw(target.q)
        f = target.values(z)
        credit, control_loss = self.baseline(z, f.detach(), target)
        objective = target.bound.value(f) + carry(score_term(target.q, z, credit))
        return Estimate(objective=objective, control_loss=control_loss)


@final
class MuProp(_BaselineEstimator):
    """The score function of what the tangent of f at the mean m of q leaves, and the tangent's own gradient.

    1/K sum_k (f(z_k) - f(m) - f'(m)^T (z_k - m) - b_k) grad log q(z_k) + f'(m)^T grad m           [*B]

    Unbiased if its baseline is, and without noise for a linear f; f differentiable in z and defined at the mean.
    K + 1 evaluations of f.
    Gu et al. (2016), arXiv 1511.05176, eq. 5.

    Args:
        num_samples: K, samples a datum.
        baseline: what is subtracted from the rest of f.

    Raises:
        ValueError: if `num_samples` is below what the baseline needs.
    """

    families = (Normal, MultivariateNormal, Bernoulli, OneHotCategorical)
    bounds = (Average,)
    differentiates_f = True

    def evaluations(self, q: Distribution) -> int:  # noqa: ARG002
        """K samples and the mean."""
        return self.num_samples + 1

    def estimate(self, target: Expectation) -> Estimate:
        """The bound, carrying the score term of the residual and the gradient of the mean."""
        with torch.no_grad():
            z = self.draw(target.q)
        mean, event = target.q.mean, tuple(range(-len(target.q.event_shape), 0))
        at_mean, slope = self._tangent(target, mean.detach())
        f = target.values(z)
        tangent = at_mean + (slope * (z - mean.detach())).sum(event)
        credit, control_loss = self.baseline(z, f.detach() - tangent, target)
        path = score_term(target.q, z, credit) + (slope * mean).sum(event)
        return Estimate(objective=target.bound.value(f) + carry(path), control_loss=control_loss)

    def _tangent(self, target: Expectation, mean: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            point = mean.clone().requires_grad_()
            value = target.values(point.unsqueeze(0)).squeeze(0)
            slope = slopes(value, point)
        return value.detach(), slope
