"""Steps in training mode: no sample meets its own value in what an estimator remembers."""

from copy import deepcopy

import pytest
import torch
from tests.testing.own_estimators import Averages

from reparam_suite.estimators import Learned, LeaveOneOut, MovingAverage, ScoreFunction
from reparam_suite.problems import GaussianModel, ToyGaussian
from reparam_suite.testing import check_estimator
from reparam_suite.testing.training_steps import has_moving_state, second_steps


@pytest.mark.parametrize(
    ("estimator", "moves"),
    [
        (ScoreFunction(baseline=MovingAverage()), True),
        (ScoreFunction(num_samples=2, baseline=LeaveOneOut()), False),
        (Averages(learns_first=False), True),
    ],
    ids=["moving average", "leave one out", "own"],
)
def test_state_that_a_training_step_changes_is_found_on_a_copy(estimator, moves):
    before = {name: value.clone() for name, value in estimator.state_dict().items()}
    assert has_moving_state(estimator, ToyGaussian()) == moves
    assert all(torch.equal(before[name], value) for name, value in estimator.state_dict().items())
    assert all(parameter.grad is None for parameter in estimator.parameters())


def test_second_steps_all_come_after_the_same_first_one():
    """As those of copies that have made it, one copy for each."""
    problem, estimator = ToyGaussian(), Averages(learns_first=True)
    target = problem.expectation(problem.phi.expand(1, -1), problem.theta.expand(1, -1))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        by_phi, by_theta = second_steps(estimator, problem, 5)
        torch.manual_seed(0)
        first = deepcopy(estimator).double().eval()
        first(target)  # gives lazy parts their shapes, and changes nothing else
        first.train()(target)
        assert first.past != 0.0
        for n in range(5):
            phi, theta = (given.unsqueeze(0).requires_grad_() for given in (problem.phi, problem.theta))
            deepcopy(first)(problem.expectation(phi, theta)).objective.sum().backward()
            assert torch.equal(by_phi[n], phi.grad[0])
            assert torch.equal(by_theta[n], theta.grad[0])


def test_lazy_parts_have_their_shapes_before_the_first_step():
    by_phi, _ = second_steps(ScoreFunction(baseline=Learned(hidden_sizes=(3,))), ToyGaussian(), 4)
    assert len(by_phi.unique()) == 4


def test_an_average_that_holds_the_sample_at_hand_is_found():
    check_estimator(Averages(learns_first=False), num_replicates=20_000, problems=[GaussianModel()])
    with pytest.raises(AssertionError, match=r"in training mode, one datum at the second step.* standard errors"):
        check_estimator(Averages(learns_first=True), num_replicates=20_000, problems=[GaussianModel()])
