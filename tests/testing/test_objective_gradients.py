"""The gradient of an objective by several estimators: one that is too large is found."""

import pytest
from tests.testing.own_objectives import Tempered, X, on_bits, on_normals
from torch.distributions import Distribution

from reparam_suite.estimators import (
    Estimate,
    Expectation,
    GradientEstimator,
    LeaveOneOut,
    Pathwise,
    ScoreFunction,
    carry,
)
from reparam_suite.testing import check_objective


class Larger(GradientEstimator):
    """Another estimator, its gradient 3 % too large."""

    bounds = Pathwise.bounds
    differentiates_f = True
    unbiased = True

    def __init__(self, inner: GradientEstimator) -> None:
        super().__init__(num_samples=inner.num_samples)
        self.inner = inner

    def fits(self, q: Distribution) -> str | None:
        return self.inner.fits(q)

    def estimate(self, target: Expectation) -> Estimate:
        objective = self.inner(target).objective
        return Estimate(objective=objective + 0.03 * carry(objective), control_loss=objective.new_zeros(()))


@pytest.mark.parametrize(
    "model",
    [
        on_normals(Larger(Pathwise(num_samples=4))),
        on_bits(Larger(ScoreFunction(num_samples=4, baseline=LeaveOneOut()))),
    ],
    ids=["normals, averaged", "bits, enumerated"],
)
def test_a_training_gradient_that_is_three_percent_too_large_is_found(model):
    message = r"gradient of \w+ by Larger, minus that of the expected objective: expected 0, .* standard errors apart"
    with pytest.raises(AssertionError, match=message):
        check_objective(Tempered(), model, X)
