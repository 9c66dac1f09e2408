import pytest
import torch
from tests import statistics as of_the_tests

from reparam_suite.testing import statistics
from reparam_suite.testing.statistics import LIMIT, Draws, Moments, draw_until_precise


def test_there_is_one_threshold():
    assert of_the_tests.LIMIT is statistics.LIMIT
    assert of_the_tests.Draws is statistics.Draws


def test_moments_of_parts_are_those_of_the_whole():
    drawn = torch.randn(3000, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) + 1e6
    moments = Moments()
    for part in drawn.split([1000, 500, 1500]):
        moments.add(part)
    draws = moments.draws()
    assert moments.num_draws == 3000
    assert torch.allclose(draws.mean, drawn.mean(0), rtol=1e-15)
    assert torch.allclose(draws.standard_error, drawn.std(0) / 3000**0.5, rtol=1e-9)


def test_draws_go_on_until_an_error_of_three_percent_would_show():
    calls = []

    def draw():
        calls.append(None)
        return (1.0 + torch.randn(1000, 1, dtype=torch.float64),)

    (draws,) = draw_until_precise(draw)
    assert 60 < len(calls) < 90  # se = 1 / sqrt(n) = 0.03 / (1.5 * 5.5): 75,625 draws
    exact = torch.ones(1, dtype=torch.float64)
    assert draws.z_scores(exact) < LIMIT < draws.scaled(1.03).z_scores(exact)


def test_draws_end_at_the_most_rounds_and_say_that_they_do_not_suffice():
    (draws,) = draw_until_precise(lambda: (torch.randn(100, 1),), most_rounds=3)
    assert not draws.show_three_percent()


def test_the_generator_is_left_as_it_was():
    before = torch.get_rng_state()
    draw_until_precise(lambda: (torch.randn(100, 1),), most_rounds=2)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_difference_of_means_has_both_errors():
    one, other = (Draws(torch.tensor([m]), torch.tensor([e])) for m, e in ((2.0, 3.0), (1.5, 4.0)))
    assert one.minus(other).mean.item() == pytest.approx(0.5)
    assert one.minus(other).standard_error.item() == pytest.approx(5.0)
