"""Estimators through the score, grad log q(z): f may be a black box."""

from typing import final

import torch
from jsonargparse.typing import lazy_instance
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, MultivariateNormal, Normal

from reparam_suite.defaults import fresh
from reparam_suite.estimators.base import Estimate, Expectation, GradientEstimator, carry, class_name
from reparam_suite.estimators.baselines import Baseline, NoBaseline
from reparam_suite.estimators.bounds import Average, LogMeanExp
from reparam_suite.variational import OneHotCategorical


@final
class ScoreFunction(GradientEstimator):
    """REINFORCE with a baseline b.

    1/K sum_k (f(z_k) - b_k) grad log q(z_k)                                         [*B]

    Unbiased if its baseline is; every family; f may be a black box. K evaluations of f.
    Glynn (1990); Williams (1992). On LogMeanExp with LeaveOneOut this is VIMCO.

    Args:
        num_samples: K, samples a datum.
        baseline: what is subtracted from f.

    Raises:
        ValueError: if `num_samples` is below what the baseline needs.
    """

    families = (Normal, MultivariateNormal, Bernoulli, OneHotCategorical)
    bounds = (Average, LogMeanExp)
    differentiates_f = False

    def __init__(self, *, num_samples: int = 1, baseline: Baseline = lazy_instance(NoBaseline)) -> None:
        super().__init__(num_samples=num_samples)
        baseline = fresh(baseline)
        if num_samples < baseline.fewest_samples:
            raise ValueError(
                f"num_samples of ScoreFunction with baseline {class_name(baseline)} must be at least "
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
                f"baseline {class_name(self.baseline)} supports the bound {accepted}, got {type(target.bound).__name__}"
            )

    def draw(self, q: Distribution) -> Tensor:
        """K samples without a gradient, `[K, *B, D]`."""
        return q.sample((self.num_samples,))

    def estimate(self, target: Expectation) -> Estimate:
        """The bound, carrying credit times score."""
        with torch.no_grad():
            z = self.draw(target.q)
        f = target.values(z)
        credit, control_loss = self.baseline(f.detach(), target)
        score_term = (credit * target.q.log_prob(z)).sum(0)
        return Estimate(objective=target.bound.value(f) + carry(score_term), control_loss=control_loss)
