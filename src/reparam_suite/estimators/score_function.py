"""Estimators through the score, grad log q(z): f may be a black box."""

from typing import final

import torch
from torch import Tensor
from torch.distributions import Distribution

from reparam_suite.distributions import has_mean, samples, score_term
from reparam_suite.estimators.base import Estimate, Expectation, GradientEstimator, carry, names, slopes
from reparam_suite.estimators.baselines import Baseline, NoBaseline
from reparam_suite.estimators.bounds import Average, LogMeanExp
from reparam_suite.estimators.latents import described


class _BaselineEstimator(GradientEstimator):
    # What the estimators share whose signal a baseline makes smaller.
    def __init__(self, *, num_samples: int = 1, baseline: Baseline | None = None) -> None:
        super().__init__(num_samples=num_samples)
        self.baseline = NoBaseline() if baseline is None else baseline
        if self.num_samples < self.baseline.fewest_samples:
            raise ValueError(
                f"num_samples of {type(self).__name__} with baseline {type(self.baseline).__name__}: expected at least "
                f"{self.baseline.fewest_samples}, got {self.num_samples}"
            )

    @property
    def unbiased(self) -> bool:
        """As the baseline is."""
        return self.baseline.unbiased

    def fits(self, q: Distribution) -> str | None:
        """Any q that the baseline allows."""
        return self.baseline.fits(q)

    def check(self, target: Expectation) -> None:
        """Refuses a bound that the baseline is not defined for as well."""
        super().check(target)
        if not isinstance(target.bound, self.baseline.bounds):
            raise ValueError(
                f"{type(self).__name__} with baseline {type(self.baseline).__name__}: expected the bound "
                f"{names(self.baseline.bounds)}, got {type(target.bound).__name__}"
            )

    def draw(self, q: Distribution) -> Tensor:
        """K samples without a gradient, `[K, *B, *event]`."""
        return samples(q, self.num_samples)


@final
class ScoreFunction(_BaselineEstimator):
    """REINFORCE with a baseline b.

    1/K sum_k (f(z_k) - b_k) grad log q(z_k)                                         [*B]

    Unbiased if its baseline is; any q with a log-probability; f may be a black box. K evaluations of f.
    Glynn (1990); Williams (1992). On LogMeanExp with LeaveOneOut this is VIMCO, arXiv 1602.06725.

    Args:
        num_samples: K, samples per datum.
        baseline: what is subtracted from f; nothing if none is given (NoBaseline).

    Raises:
        ValueError: if `num_samples` is below what the baseline needs.
    """

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

    Unbiased if its baseline is, and without noise for a linear f; any q with a mean in closed form; f differentiable in
    z and defined at the mean.
    K + 1 evaluations of f.
    Gu et al. (2016), arXiv 1511.05176, eq. 5.

    Args:
        num_samples: K, samples per datum.
        baseline: what is subtracted from the rest of f; nothing if none is given (NoBaseline).

    Raises:
        ValueError: if `num_samples` is below what the baseline needs.
    """

    bounds = (Average,)
    differentiates_f = True

    def fits(self, q: Distribution) -> str | None:
        """Any q whose mean is known; the mean direction of an angle is no mean of the angle."""
        if not has_mean(q):
            return f"expected a q whose mean is known, got {described(q)}"
        return super().fits(q)

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
