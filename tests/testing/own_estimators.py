"""Estimators that exist in the tests only."""

import torch
from torch import Tensor
from torch.distributions import Distribution

from reparam_suite.distributions import is_reparameterized, score_term
from reparam_suite.estimators import Average, Estimate, Expectation, GradientEstimator, carry


class Mixed(GradientEstimator):
    """Half pathwise, half score function, at the same samples: a member that exists in the tests only."""

    bounds = (Average,)
    differentiates_f = True
    unbiased = True

    def __init__(self, *, num_samples: int = 4, weight: float = 0.5) -> None:
        super().__init__(num_samples=num_samples, fewest_samples=2)
        self.weight = weight

    def fits(self, q: Distribution) -> str | None:
        return None if is_reparameterized(q) else "q cannot be reparameterized"

    def gradient_of(self, score: Tensor) -> Tensor:
        return score

    def estimate(self, target: Expectation) -> Estimate:
        z = target.q.rsample((self.num_samples,))
        held = z.detach()
        f = target.values(held + self.weight * carry(z))
        score = score_term(target.q, held, target.bound.leave_one_out(f.detach()))
        objective = target.bound.value(f) + (1.0 - self.weight) * carry(self.gradient_of(score))
        return Estimate(objective=objective, control_loss=objective.new_zeros(()))


class Changed(Mixed):
    """The same with its estimate changed by `change`."""

    def __init__(self, change) -> None:
        super().__init__()
        self.change = change

    def estimate(self, target):
        return self.change(super().estimate(target))


def with_objective(change):
    return lambda estimate: Estimate(objective=change(estimate.objective), control_loss=estimate.control_loss)


def with_control_loss(change):
    def changed(estimate):
        made = object.__new__(Estimate)  # past the shapes that jaxtyping enforces in tests
        vars(made).update(objective=estimate.objective, control_loss=change(estimate.objective))
        return made

    return changed


class Averages(Mixed):
    """Subtracts a moving average of its values from them: `first` before it holds the sample at hand, or after."""

    past: Tensor

    def __init__(self, *, learns_first: bool, in_eval_mode: bool = False) -> None:
        super().__init__(num_samples=2)
        self.learns_first, self.in_eval_mode = learns_first, in_eval_mode
        self.register_buffer("past", torch.zeros(()))

    def estimate(self, target):
        z = target.q.rsample((self.num_samples,)).detach()
        f = target.values(z)
        before, after = self.past, torch.lerp(f.detach().mean().to(self.past), self.past, 0.3)
        if self.training or self.in_eval_mode:
            self.past = after
        baseline = after if self.learns_first and self.training else before
        score = score_term(target.q, z, target.bound.credit(f.detach(), baseline.to(f.dtype)))
        objective = target.bound.value(f) + carry(score)
        return Estimate(objective=objective, control_loss=objective.new_zeros(()))
