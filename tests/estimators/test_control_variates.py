"""REBAR, RELAX and the other estimators with a trained control variate: the weight of the control, its training."""

import math
from typing import ClassVar

import pytest
import torch
from tests.estimators.fixed_noise import assert_same, at, evaluate, noise_like, on
from tests.statistics import draw_once

from reparam_suite.distributions import bernoulli, categorical, parameters
from reparam_suite.estimators import (
    REBAR,
    RELAX,
    RODEO,
    DoubleCV,
    Expectation,
    ScoreFunction,
)
from reparam_suite.estimators.control_variates import conditional_weight
from reparam_suite.estimators.relaxation import hardened, perturbed_given, relaxation_noise
from reparam_suite.problems import BernoulliCurved, BernoulliModel, CategoricalCurved, CategoricalModel

PROBLEMS = [BernoulliCurved(), BernoulliModel(), CategoricalCurved(), CategoricalModel()]
each_problem = pytest.mark.parametrize("problem", PROBLEMS, ids=str)
LEARNED = [
    lambda: REBAR(temperature=0.7, strength=0.6),
    lambda: RELAX(temperature=0.7, strength=0.6, hidden_sizes=(5,)),
    lambda: DoubleCV(num_samples=3, strength=0.4),
    lambda: RODEO(num_samples=3, strength=0.7, hidden_sizes=(5,)),
]
each_learned = pytest.mark.parametrize("make", LEARNED, ids=lambda make: type(make()).__name__)
LEARNED_ON = [(make, problem) for make in LEARNED[:2] for problem in PROBLEMS] + [
    (make, problem) for make in LEARNED[2:] for problem in PROBLEMS[:2]
]


@each_problem
def test_rebar_of_strength_0_is_the_score_function(problem):
    noise = noise_like(problem, REBAR(num_samples=3).draw)
    q = problem.q(problem.phi.expand(50, -1))
    hard = hardened(q, parameters(q)["logits"] + noise)
    plain = on(at(hard, ScoreFunction(num_samples=3)), problem)
    assert_same(on(at(noise, REBAR(num_samples=3, strength=0.0)), problem), plain)
    controlled = on(at(noise, REBAR(num_samples=3, strength=1.0)), problem)
    assert_same(controlled._replace(phi=plain.phi), plain)
    assert not torch.allclose(controlled.phi, plain.phi)


def test_the_weight_of_bits_is_the_difference_of_the_two_pathwise_derivatives():
    torch.manual_seed(0)
    phi = torch.randn(100, 3, dtype=torch.float64, requires_grad=True)
    q = bernoulli(phi)
    noise = relaxation_noise(q, 1)
    z = (phi + noise).detach()
    hard = hardened(q, z)
    # The fresh noise that gives back z: the conditional draw turned round.
    sign = 2.0 * hard - 1.0
    fresh = sign * (torch.expm1(sign * z).log() - torch.log1p((sign * phi).exp()))
    given = perturbed_given(q, hard, fresh.detach())
    torch.testing.assert_close(given, z)
    derivative = torch.autograd.grad(given.sum(), phi)[0]
    torch.testing.assert_close(1.0 - derivative, conditional_weight(q, z, noise)[0])


def test_the_weight_of_classes_is_the_difference_of_the_two_pathwise_derivatives():
    torch.manual_seed(0)
    log_p = torch.randn(100, 2, 4, dtype=torch.float64).log_softmax(-1).requires_grad_()
    q = categorical(log_p)
    noise = relaxation_noise(q, 1)
    z = (log_p + noise).detach()
    hard, maximum = hardened(q, z), z.amax(-1, keepdim=True)
    # By log-probabilities that move freely; the maximum does not depend on them.
    below = torch.where(hard > 0, torch.ones_like(z), (-z).exp() - (-maximum).exp())
    fresh = torch.where(hard > 0, maximum, -below.log() - log_p)
    torch.testing.assert_close(perturbed_given(q, hard, fresh), z)
    given = torch.where(hard > 0, maximum, -torch.logaddexp(-log_p - fresh.detach(), -maximum))
    derivative = torch.autograd.grad(given.sum(), log_p)[0]
    torch.testing.assert_close(1.0 - derivative, conditional_weight(q, z, noise)[0])


def test_bits_are_the_two_class_case():
    torch.manual_seed(1)
    phi, theta = torch.randn(20, 3, dtype=torch.float64) * 2.0, torch.randn(20, 3, dtype=torch.float64)
    gumbel = REBAR(num_samples=2).draw(categorical(torch.stack([phi, torch.zeros_like(phi)], -1)))

    def value(bits, theta):
        return (theta * bits).sum(-1).exp() + bits.pow(3).prod(-1)

    def of_bits(phi, theta):
        return Expectation(q=bernoulli(phi), f=lambda z, _: value(z, theta))

    def of_classes(phi, theta):
        q = categorical(torch.stack([phi, torch.zeros_like(phi)], -1))
        return Expectation(q=q, f=lambda z, _: value(z[..., 0], theta))

    options = {"num_samples": 2, "temperature": 0.7, "strength": 0.8}
    assert_same(
        evaluate(at(gumbel[..., 0] - gumbel[..., 1], REBAR(**options)), of_bits, phi, theta),
        evaluate(at(gumbel, REBAR(**options)), of_classes, phi, theta),
    )


def test_variance_of_rebar_of_one_bit():
    # f = z. With z = phi + logit(u), b = 1[u > 1 - p] and v the conditional uniform that gives the same z, after
    # Tucker et al., appendix C: z | b = log(v / (1 - v) / (1 - p) + 1) for b = 1, -log(v / (1 - v) / p + 1) for b = 0.
    phi, temperature, strength = 0.8, 0.6, 0.7
    u = (torch.arange(1_000_000, dtype=torch.float64) + 0.5) / 1_000_000
    p = torch.full_like(u, phi).sigmoid()
    b = (u > 1 - p).double()
    v = torch.where(b > 0, (u - (1 - p)) / p, u / (1 - p)).clamp(1e-12, 1 - 1e-12)
    leaf = torch.full_like(u, phi).requires_grad_()
    odds = v / (1 - v)
    odds = torch.where(b > 0, odds, 1 / odds)
    given = torch.where(b > 0, torch.log1p(odds * (1 + leaf.exp())), -torch.log1p(odds * (1 + (-leaf).exp())))
    torch.testing.assert_close(given.detach(), phi + torch.logit(u), rtol=1e-4, atol=1e-4)
    relaxed = (torch.sigmoid(given / temperature), torch.sigmoid((leaf + torch.logit(u)) / temperature))
    down, up = (torch.autograd.grad(sample.sum(), leaf, retain_graph=True)[0] for sample in relaxed)
    gradient = (b - strength * relaxed[0].detach()) * (b - p) + strength * (up - down)
    assert gradient.mean().item() == pytest.approx((p * (1 - p))[0].item(), rel=1e-4)

    def identity(phi, theta):
        return Expectation(q=bernoulli(phi), f=lambda z, _: theta[..., 0] * z[..., 0])

    torch.manual_seed(2)
    one = torch.ones(200_000, 1, dtype=torch.float64)
    drawn = evaluate(REBAR(temperature=temperature, strength=strength).eval(), identity, phi * one, one)
    assert drawn.phi.var().item() == pytest.approx(gradient.var().item(), rel=0.05)


@pytest.mark.parametrize("make", [REBAR, lambda: DoubleCV(strength=0.5), lambda: RODEO(strength=1.0)])
def test_a_constant_gives_no_gradient(make):
    def constant(phi, theta):
        return Expectation(q=bernoulli(phi), f=lambda z, _: theta[..., 0].expand(z.shape[:-1]))

    phi, theta = torch.full((20, 3), 0.8, dtype=torch.float64), torch.full((20, 1), 3.0, dtype=torch.float64)
    result = evaluate(make().double(), constant, phi, theta)
    assert result.phi.abs().max() < 1e-12
    torch.testing.assert_close(result.theta[:, 0], torch.ones(20, dtype=torch.float64))


@pytest.mark.parametrize(
    ("make", "problem"), LEARNED_ON, ids=lambda value: type(value()).__name__ if callable(value) else str(value)
)
def test_control_loss_is_the_squared_gradient(make, problem):
    torch.manual_seed(3)
    estimator = make().double()
    phi, theta = (given.expand(6, -1).clone().requires_grad_() for given in (problem.phi, problem.theta))
    noise = estimator.draw(problem.q(phi))
    estimator.draw = lambda q: noise.clone()

    def squared_gradient():
        objective = estimator(problem.expectation(phi, theta)).objective
        return torch.autograd.grad(objective.sum(), phi)[0].square().sum(-1).mean().item()

    control_loss = estimator(problem.expectation(phi, theta)).control_loss
    own = list(estimator.parameters())
    by_own = torch.autograd.grad(control_loss, own)
    for parameter, gradient in zip(own, by_own, strict=True):
        flat = parameter.data.view(-1)
        for i in range(min(3, len(flat))):
            kept, ends = flat[i].item(), []
            for step in (-1e-5, 1e-5):
                flat[i] = kept + step
                ends.append(squared_gradient())
            flat[i] = kept
            slope = (ends[1] - ends[0]) / 2e-5
            assert gradient.view(-1)[i].item() == pytest.approx(slope, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("make", [lambda: REBAR(temperature=0.5, strength=0.0), lambda: DoubleCV(num_samples=3)])
def test_training_finds_the_best_strength(make):
    # The gradient is g_0 + s g_1, so that the best s is -cov(g_0, g_1) / var(g_1), summed over the logits.
    problem, ends = BernoulliModel(), []
    for strength in (0.0, 1.0):
        torch.manual_seed(4)
        estimator = make().double().eval()
        estimator.learned_strength.data.fill_(strength)
        ends.append(draw_once(estimator, problem, 40_000)[1])
    start, change = ends[0] - ends[0].mean(0), (ends[1] - ends[0]) - (ends[1] - ends[0]).mean(0)
    best = -(start * change).sum().item() / change.square().sum().item()

    torch.manual_seed(5)
    estimator = make().double()
    phi, theta = (given.expand(1_000, -1) for given in (problem.phi, problem.theta))
    optimizer = torch.optim.Adam([estimator.learned_strength], lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        estimator(problem.expectation(phi, theta)).control_loss.backward()
        optimizer.step()
    assert abs(best) > 0.1
    assert estimator.learned_strength.item() == pytest.approx(best, rel=0.1)


class _Square(torch.autograd.Function):
    """The square, that remembers whether its derivative was to be differentiated again."""

    again: ClassVar[list[bool]] = []

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.square()

    @staticmethod
    def backward(ctx, gradient):
        _Square.again.append(torch.is_grad_enabled())
        (x,) = ctx.saved_tensors
        return 2.0 * x * gradient


@pytest.mark.parametrize(
    "estimator", [REBAR(), RELAX(), DoubleCV(), RODEO()], ids=lambda estimator: type(estimator).__name__
)
def test_f_is_differentiated_twice_only_to_train_a_relaxation(estimator):
    phi = torch.full((4, 3), 0.3, requires_grad=True)

    def again():
        _Square.again.clear()
        estimate = estimator(Expectation(q=bernoulli(phi), f=lambda z, _: _Square.apply(z).sum(-1)))
        assert torch.autograd.grad(estimate.objective.sum(), phi)[0].abs().max() > 0
        return any(_Square.again), estimate.control_loss.requires_grad

    assert again() == (isinstance(estimator, REBAR | RELAX), True)
    estimator.eval()
    assert again() == (False, False)
    estimator.train().requires_grad_(False)
    assert again() == (False, False)


@each_learned
def test_the_value_needs_no_gradient_mode(make):
    problem = BernoulliModel()
    estimator = make().double()
    torch.manual_seed(6)
    with torch.no_grad():
        estimate = estimator(problem.expectation(problem.phi.expand(5, -1), problem.theta.expand(5, -1)))
    torch.manual_seed(6)
    assert torch.equal(estimate.objective, on(estimator, problem, 5).value)
    assert not estimate.objective.requires_grad


@pytest.mark.parametrize(("make", "classes"), [*((make, 0) for make in LEARNED), *((make, 5) for make in LEARNED[:2])])
def test_float32_is_stable_at_large_logits(make, classes):
    estimator = make()
    torch.manual_seed(8)
    estimator.num_samples = 64
    shape = (2, 2_000, classes) if classes else (2, 2_000)
    phi = torch.rand(shape) * 60.0 - 30.0
    theta = torch.randn(2, 2_000)

    def make_target(phi, theta):
        q = categorical(phi) if classes else bernoulli(phi)
        bits = (lambda z: z[..., 0]) if classes else (lambda z: z)
        return Expectation(q=q, f=lambda z, q: -((bits(z) - theta).square().sum(-1)) - q.log_prob(z))

    noise = estimator.draw(make_target(phi, theta).q)
    small = evaluate(at(noise, estimator), make_target, phi, theta)
    wide = evaluate(at(noise.double(), estimator.double()), make_target, phi.double(), theta.double())
    for ours, theirs in zip(small, wide, strict=True):
        assert ours.dtype == torch.float32
        scale = theirs.abs().max().item()
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-3, atol=1e-3 * scale)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: REBAR(temperature=0.0), "temperature of REBAR: expected a finite number above 0, got 0.0"),
        (lambda: RELAX(temperature=-1.0), "temperature of RELAX: expected a finite number above 0, got -1.0"),
        (lambda: REBAR(temperature=math.nan), "temperature of REBAR: expected a finite number above 0, got nan"),
        (lambda: REBAR(num_samples=0), "num_samples of REBAR: expected an integer of at least 1, got 0"),
        (lambda: DoubleCV(num_samples=1), "num_samples of DoubleCV: expected an integer of at least 2, got 1"),
        (lambda: RODEO(num_samples=1), "num_samples of RODEO: expected an integer of at least 2, got 1"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("estimator", [DoubleCV(), RODEO()])
def test_bits_only(estimator):
    problem = CategoricalModel()
    with pytest.raises(
        ValueError, match="expected a q of independent bits, event_shape \\[D\\], got OneHotCategorical"
    ):
        estimator(problem.expectation(problem.phi.expand(2, -1), problem.theta.expand(2, -1)))
