"""Independent gradients along a batch axis."""

import torch

from reparam_suite.estimators import Pathwise, ScoreFunction
from reparam_suite.problems import ToyGaussian
from reparam_suite.testing.replicates import black_box, draw_once, measure
from reparam_suite.testing.statistics import LIMIT


def test_each_replicate_has_the_gradient_of_its_own_sample():
    """Of theta z^2 with z = phi + noise and theta = 1: z^2, 2 z and z^2."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        value, by_phi, by_theta = draw_once(Pathwise(), ToyGaussian(), 200)
    assert (value.shape, by_phi.shape, by_theta.shape) == ((200,), (200, 1), (200, 1))
    torch.testing.assert_close(by_phi.squeeze(1).square(), 4.0 * value)
    torch.testing.assert_close(by_theta.squeeze(1), value)
    assert len(value.unique()) == 200


def test_the_type_asked_for_is_that_of_all_numbers():
    assert {part.dtype for part in draw_once(Pathwise(), ToyGaussian(), 5, torch.float32)} == {torch.float32}


def test_an_f_without_a_way_to_z_has_its_values_and_its_gradient_with_respect_to_theta():
    problem = ToyGaussian()
    theta = problem.theta.expand(3, -1).clone().requires_grad_()
    target = problem.expectation(problem.phi.expand(3, -1), theta)
    z = torch.tensor([[[1.0], [2.0], [3.0]]], dtype=torch.float64, requires_grad=True)
    f = black_box(target).f(z, target.q)
    assert f.tolist() == [[1.0, 4.0, 9.0]]
    by_theta, by_z = torch.autograd.grad(f.sum(), (theta, z), allow_unused=True)
    assert by_theta.flatten().tolist() == [1.0, 4.0, 9.0]
    assert by_z is None


def test_draws_go_on_until_an_error_of_three_percent_would_show():
    problem = ToyGaussian()
    found = measure(Pathwise(), problem, num_replicates=5_000)
    for block, exact in ((found.value, [5.0]), (found.phi, [4.0]), (found.theta, [5.0])):
        exact = torch.tensor(exact, dtype=torch.float64)
        assert block.z_scores(exact).max() < LIMIT < block.scaled(1.03).z_scores(exact).max()
    assert not measure(ScoreFunction(), problem, num_replicates=500, most_rounds=1).phi.show_three_percent()
