"""Rao-Blackwellised straight-through Gumbel against the plain one."""

import math

import pytest
import torch
from tests.estimators.fixed_noise import assert_same, at, noise_like, on
from tests.statistics import LIMIT

from reparam_suite.estimators import (
    GumbelRao,
    StraightThroughGumbel,
)
from reparam_suite.problems import BernoulliCurved, BernoulliModel, CategoricalCurved, CategoricalModel

PROBLEMS = [BernoulliCurved(), BernoulliModel(), CategoricalCurved(), CategoricalModel()]
each_problem = pytest.mark.parametrize("problem", PROBLEMS, ids=str)


@each_problem
def test_gumbel_rao_with_one_conditional_draw_is_straight_through_gumbel(problem):
    noise = noise_like(problem, GumbelRao(num_samples=3, num_conditional=1).draw)
    rao = on(at(noise, GumbelRao(num_samples=3, num_conditional=1, temperature=0.4)), problem)
    assert_same(rao, on(at(noise[0], StraightThroughGumbel(num_samples=3, temperature=0.4)), problem))


@each_problem
def test_gumbel_rao_keeps_the_mean_and_lowers_the_variance(problem):
    torch.manual_seed(4)
    rao = on(GumbelRao(num_conditional=10), problem, 40_000).phi
    plain = on(StraightThroughGumbel(), problem, 40_000).phi
    error = ((rao.var(0) + plain.var(0)) / 40_000).sqrt()
    assert ((rao.mean(0) - plain.mean(0)) / error).abs().max() < LIMIT
    # Rao-Blackwell; with ten draws for one, what is averaged out falls to a tenth.
    assert (rao.var(0) < plain.var(0)).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: GumbelRao(temperature=math.nan),
            "temperature of GumbelRao: expected a finite number above 0, got nan",
        ),
        (
            lambda: GumbelRao(num_conditional=0),
            "num_conditional of GumbelRao: expected an integer of at least 1, got 0",
        ),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        make()
