"""Relaxations: identities at the same noise, conditional noise, variance in closed form."""

from typing import ClassVar

import pytest
import torch
import torch.distributions as td
from tests.estimators.fixed_noise import assert_same, at, evaluate, noise_like, on
from tests.statistics import LIMIT

from reparam_suite.distributions import bernoulli, categorical
from reparam_suite.estimators import (
    DecoupledGumbel,
    Expectation,
    GappedStraightThrough,
    GumbelRao,
    GumbelSoftmax,
    StraightThroughGumbel,
)
from reparam_suite.estimators.relaxation import hardened, perturbed_given, relaxation_noise
from reparam_suite.problems import BernoulliCurved, BernoulliModel, CategoricalCurved, CategoricalModel

PROBLEMS = [BernoulliCurved(), BernoulliModel(), CategoricalCurved(), CategoricalModel()]
RELAXATIONS = [
    lambda: GumbelSoftmax(num_samples=2, temperature=0.7),
    lambda: StraightThroughGumbel(num_samples=2, temperature=0.7),
    lambda: DecoupledGumbel(num_samples=2, forward_temperature=0.6, backward_temperature=1.3),
    lambda: GumbelRao(num_samples=2, num_conditional=3, temperature=0.7),
    lambda: GappedStraightThrough(num_samples=2, temperature=0.7, gap=0.8),
]
each_relaxation = pytest.mark.parametrize("make", RELAXATIONS, ids=lambda make: type(make()).__name__)
each_problem = pytest.mark.parametrize("problem", PROBLEMS, ids=str)


@each_problem
def test_decoupled_gumbel_with_forward_temperature_1_is_straight_through_gumbel(problem):
    estimator = DecoupledGumbel(forward_temperature=1.0, backward_temperature=0.4)
    noise = noise_like(problem, estimator.draw)
    decoupled = on(at(noise, estimator), problem)
    assert_same(decoupled, on(at(noise, StraightThroughGumbel(temperature=0.4)), problem))


@each_problem
def test_decoupled_gumbel_samples_the_tempered_distribution(problem):
    torch.manual_seed(0)
    q = problem.q(problem.phi.expand(1, -1))
    drawn = DecoupledGumbel(num_samples=200_000, forward_temperature=0.5).sample(q)[:, 0]
    logits = q.base_dist.logits[0] / 0.5
    probability = logits.sigmoid() if drawn.dim() == 2 else logits.softmax(-1)
    error = (probability * (1.0 - probability) / len(drawn)).sqrt()
    assert ((drawn.mean(0) - probability) / error).abs().max() < LIMIT


@each_relaxation
def test_bits_are_the_two_class_case(make):
    torch.manual_seed(1)
    phi, theta = torch.randn(20, 3, dtype=torch.float64) * 2.0, torch.randn(20, 3, dtype=torch.float64)
    gumbel = make().draw(categorical(torch.stack([phi, torch.zeros_like(phi)], -1)))
    logistic = gumbel[..., 0] - gumbel[..., 1]

    def value(bits, theta):
        return (theta * bits).sum(-1).exp() + bits.pow(3).prod(-1)

    def of_bits(phi, theta):
        return Expectation(q=bernoulli(phi), f=lambda z, _: value(z, theta))

    def of_classes(phi, theta):
        q = categorical(torch.stack([phi, torch.zeros_like(phi)], -1))
        return Expectation(q=q, f=lambda z, _: value(z[..., 0], theta))

    assert_same(
        evaluate(at(logistic, make()), of_bits, phi, theta), evaluate(at(gumbel, make()), of_classes, phi, theta)
    )


@each_relaxation
@each_problem
def test_a_constant_gives_no_gradient(make, problem):
    def constant(phi, theta):
        return Expectation(q=problem.q(phi), f=lambda z, _: theta[..., 0].expand(z.shape[:-1][: theta.dim()]))

    result = evaluate(make(), constant, problem.phi.expand(20, -1), problem.theta.expand(20, -1))
    assert result.phi.abs().max() == 0
    torch.testing.assert_close(result.theta[:, 0], torch.ones(20, dtype=torch.float64))


@each_problem
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_conditional_noise_selects_the_same_corner(problem, scale):
    torch.manual_seed(2)
    q = problem.q((problem.phi * scale).float().expand(1000, -1))
    hard = hardened(q, q.base_dist.logits + relaxation_noise(q, 1))
    given = perturbed_given(q, hard, relaxation_noise(q, 20))
    assert given.dtype == torch.float32
    assert torch.equal(hardened(q, given), hard.expand_as(given))


@each_problem
def test_conditional_noise_has_the_unconditional_law_over_all_corners(problem):
    torch.manual_seed(3)
    q = problem.q(problem.phi.expand(400_000, -1))
    logits = q.base_dist.logits
    hard = hardened(q, logits + relaxation_noise(q, 1))
    noise = (perturbed_given(q, hard, relaxation_noise(q, 1)) - logits)[0]
    # The distribution function of independent noise makes independent uniforms of it.
    uniform = (noise.sigmoid() if noise.dim() == 2 else (-(-noise).exp()).exp()).flatten(1)
    powers = torch.stack([uniform, uniform.square(), uniform.pow(3)])
    exact = torch.tensor([1 / 2, 1 / 3, 1 / 4], dtype=torch.float64).reshape(3, 1)
    assert ((powers.mean(1) - exact) / (powers.std(1) / len(uniform) ** 0.5)).abs().max() < LIMIT
    centred = uniform - 0.5
    products = centred.unsqueeze(-1) * centred.unsqueeze(-2)
    distance = (products.mean(0) - torch.eye(uniform.shape[1]) / 12) / (products.std(0) / len(uniform) ** 0.5)
    assert distance.abs().max() < LIMIT


def test_variance_of_straight_through_gumbel_of_one_bit():
    # f = z, temperature 1: the gradient is p (1 - p) of p = sigmoid(phi + logistic), by quadrature over the uniform.
    phi = 0.8
    u = (torch.arange(1_000_000, dtype=torch.float64) + 0.5) / 1_000_000
    p = (phi + torch.logit(u)).sigmoid()
    exact = (p * (1.0 - p)).var().item()

    def identity(phi, theta):
        return Expectation(q=bernoulli(phi), f=lambda z, _: theta[..., 0] * z[..., 0])

    torch.manual_seed(5)
    one = torch.ones(100_000, 1, dtype=torch.float64)
    drawn = evaluate(StraightThroughGumbel(temperature=1.0), identity, phi * one, one).phi.var().item()
    assert drawn == pytest.approx(exact, rel=0.05)


@each_relaxation
@pytest.mark.parametrize("classes", [0, 5])
def test_float32_is_stable_at_large_logits(make, classes):
    torch.manual_seed(6)
    estimator = make()
    estimator.num_samples = 64
    shape = (2, 2_000, classes) if classes else (2, 2_000)
    phi = torch.rand(shape) * 60.0 - 30.0
    theta = torch.randn(2, 2_000)

    def make_target(phi, theta):
        q = categorical(phi) if classes else bernoulli(phi)
        bits = (lambda z: z[..., 0]) if classes else (lambda z: z)
        return Expectation(q=q, f=lambda z, q: -((bits(z) - theta).square().sum(-1)) - q.log_prob(z))

    q = make_target(phi, theta).q
    noise = estimator.draw(q)
    small = evaluate(at(noise, estimator), make_target, phi, theta)
    wide = evaluate(at(noise.double(), estimator), make_target, phi.double(), theta.double())
    for ours, theirs in zip(small, wide, strict=True):
        assert ours.dtype == torch.float32
        scale = theirs.abs().max().item()
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-3, atol=1e-4 * scale)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: GumbelSoftmax(temperature=0.0),
            "temperature of GumbelSoftmax: expected a finite number above 0, got 0.0",
        ),
        (
            lambda: StraightThroughGumbel(temperature=-1.0),
            "temperature of StraightThroughGumbel: expected a finite number above 0",
        ),
        (
            lambda: DecoupledGumbel(forward_temperature=0.0),
            "forward_temperature of DecoupledGumbel: expected a finite number above 0",
        ),
        (
            lambda: DecoupledGumbel(backward_temperature=0.0),
            "backward_temperature of DecoupledGumbel: expected a finite number above 0",
        ),
        (
            lambda: StraightThroughGumbel(num_samples=0),
            "num_samples of StraightThroughGumbel: expected an integer of at least 1, got 0",
        ),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        make()


class Ordered(td.Distribution):
    """One of C classes in order, as a number, that says how it is relaxed."""

    arg_constraints: ClassVar = {}

    def __init__(self, logits):
        self.logits = logits
        super().__init__(logits.shape[:-1], validate_args=False)

    def relaxed(self, temperature):
        soft = td.RelaxedOneHotCategorical(torch.as_tensor(temperature), logits=self.logits)
        return _Numbers(soft, self.logits.shape[-1])

    def log_prob(self, value):
        return -value.square()


class _Numbers(td.Distribution):
    arg_constraints: ClassVar = {}

    def __init__(self, soft, num_classes):
        self.soft, self.values = soft, torch.arange(num_classes, dtype=torch.float64)
        super().__init__(soft.batch_shape, validate_args=False)

    def rsample(self, sample_shape=()):
        return (self.soft.rsample(sample_shape) * self.values).sum(-1)


def test_a_distribution_that_says_how_it_is_relaxed_is_taken():
    class OrderedVector(td.Independent):
        def relaxed(self, temperature):
            return td.Independent(self.base_dist.relaxed(temperature), 1)

    def value(estimator, make, f):
        logits = torch.linspace(-0.5, 0.9, 6, dtype=torch.float64).reshape(2, 3).expand(40_000, 2, 3)
        logits = logits.clone().requires_grad_()
        torch.manual_seed(0)
        objective = estimator(Expectation(q=make(logits), f=f)).objective
        return objective.detach(), torch.autograd.grad(objective.sum(), logits)[0]

    levels = torch.arange(3, dtype=torch.float64)
    ours = value(GumbelSoftmax(temperature=0.7), categorical, lambda z, _: (z * levels).sum(-1).sin().sum(-1))
    theirs = value(
        GumbelSoftmax(temperature=0.7), lambda logits: OrderedVector(Ordered(logits), 1), lambda z, _: z.sin().sum(-1)
    )
    for a, b in zip(ours, theirs, strict=True):
        error = ((a.var(0) + b.var(0)) / len(a)).sqrt()
        assert ((a.mean(0) - b.mean(0)).abs() < LIMIT * error).all()
        assert (a.mean(0).abs() > 10 * error).any()
    with pytest.raises(ValueError, match="StraightThroughGumbel: expected a q of independent bits"):
        value(StraightThroughGumbel(), lambda logits: OrderedVector(Ordered(logits), 1), lambda z, _: z.sum(-1))
