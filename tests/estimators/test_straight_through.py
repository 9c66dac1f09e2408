import itertools

import pytest
import torch
import torch.nn.functional as F
from tests.estimators.fixed_noise import assert_same, at, evaluate, noise_like, on

from reparam_suite.distributions import bernoulli, categorical
from reparam_suite.estimators import DARN, Expectation, ReinMax, StraightThrough
from reparam_suite.problems import BernoulliCurved, BernoulliModel, CategoricalCurved, CategoricalModel

PROBLEMS = [BernoulliCurved(), BernoulliModel(), CategoricalCurved(), CategoricalModel()]
each_problem = pytest.mark.parametrize("problem", PROBLEMS, ids=str)
each_estimator = pytest.mark.parametrize("estimator", [StraightThrough, DARN, ReinMax])


@each_problem
def test_reinmax_at_temperature_1_is_the_mean_of_straight_through_and_darn(problem):
    z = noise_like(problem, ReinMax(num_samples=4).draw)
    reinmax, through, darn = (on(at(z, make(num_samples=4)), problem) for make in (ReinMax, StraightThrough, DARN))
    mean = through._replace(phi=(through.phi + darn.phi) / 2.0)
    assert_same(reinmax, mean)


@each_estimator
def test_bits_are_the_two_class_case(estimator):
    torch.manual_seed(1)
    phi, theta = torch.randn(20, 3, dtype=torch.float64) * 2.0, torch.randn(20, 3, dtype=torch.float64)
    bits = bernoulli(phi).sample((2,))
    classes = torch.stack([bits, 1.0 - bits], -1)

    def value(bits, theta):
        return (theta * bits).sum(-1).exp() + bits.pow(3).prod(-1)

    def of_bits(phi, theta):
        return Expectation(q=bernoulli(phi), f=lambda z, _: value(z, theta))

    def of_classes(phi, theta):
        q = categorical(torch.stack([phi, torch.zeros_like(phi)], -1))
        return Expectation(q=q, f=lambda z, _: value(z[..., 0], theta))

    options = {"temperature": 1.7} if estimator is ReinMax else {}
    assert_same(
        evaluate(at(bits, estimator(**options)), of_bits, phi, theta),
        evaluate(at(classes, estimator(**options)), of_classes, phi, theta),
    )


def states(num_latents, num_classes):
    """Every z, `[S, D]` for bits and `[S, D, C]` for one-hot latents."""
    if num_classes == 2:
        return torch.tensor(list(itertools.product([0.0, 1.0], repeat=num_latents)), dtype=torch.float64)
    indices = torch.tensor(list(itertools.product(range(num_classes), repeat=num_latents)))
    return F.one_hot(indices, num_classes).double()


def expected_gradient(estimator, num_classes, degree):
    """The estimator's mean over every state, and the gradient of the sum over every state."""
    torch.manual_seed(2)
    z = states(3, num_classes)
    size = z[0].numel()
    phi = torch.randn(z.shape[1:], dtype=torch.float64)
    linear, quadratic = torch.randn(size, dtype=torch.float64), torch.randn(size, size, dtype=torch.float64)
    make = bernoulli if num_classes == 2 else categorical

    def f(z, _):
        flat = z.flatten(-make(phi).base_dist.logits.dim())
        return flat @ linear + (flat * (flat @ quadratic)).sum(-1) * (degree == 2)

    leaf = phi.clone().requires_grad_()
    probability = make(leaf).log_prob(z).exp()
    exact = torch.autograd.grad((probability * f(z, None)).sum(), leaf)[0]
    copies = phi.expand_as(z).clone().requires_grad_()
    objective = at(z.unsqueeze(0), estimator)(Expectation(q=make(copies), f=f)).objective
    of_state = torch.autograd.grad(objective.sum(), copies)[0]
    weight = probability.detach().reshape(-1, *(1,) * phi.dim())
    return (weight * of_state).sum(0), exact


@pytest.mark.parametrize("num_classes", [2, 4])
def test_reinmax_is_exact_in_the_mean_on_quadratics(num_classes):
    torch.testing.assert_close(*expected_gradient(ReinMax(), num_classes, degree=2))
    for biased in (ReinMax(temperature=1.5), StraightThrough(), DARN()):
        mean, exact = expected_gradient(biased, num_classes, degree=2)
        assert (mean - exact).abs().max() > 1e-3 * exact.abs().max()


@pytest.mark.parametrize("num_classes", [2, 4])
def test_straight_through_is_exact_without_noise_on_linear_functions(num_classes):
    torch.testing.assert_close(*expected_gradient(StraightThrough(), num_classes, degree=1))
    torch.manual_seed(3)
    slope = torch.randn(3, dtype=torch.float64)

    def linear(phi, theta):
        return Expectation(q=bernoulli(phi), f=lambda z, _: (z * theta).sum(-1))

    drawn = evaluate(StraightThrough(), linear, torch.full((100, 3), 0.7).double(), slope.expand(100, -1)).phi
    assert drawn.std(0).max() < 1e-12


@pytest.mark.parametrize("make", [bernoulli, categorical])
def test_straight_through_takes_the_derivative_of_the_tempered_mean(make):
    torch.manual_seed(4)
    phi, slope = (torch.randn(5, 3, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    target = Expectation(
        q=make(phi if make is categorical else phi.flatten(1)),
        f=lambda z, _: (z.flatten(2) * slope.detach().flatten(1)).sum(-1),
    )
    ours = torch.autograd.grad(StraightThrough(temperature=1.5)(target).objective.sum(), phi)[0]
    mean = (phi / 1.5).softmax(-1) if make is categorical else (phi / 1.5).sigmoid()
    torch.testing.assert_close(ours, torch.autograd.grad((mean * slope.detach()).sum(), phi)[0])


@each_estimator
@each_problem
def test_a_constant_gives_no_gradient(estimator, problem):
    def constant(phi, theta):
        return Expectation(q=problem.q(phi), f=lambda z, _: theta[..., 0].expand(z.shape[:-1][: theta.dim()]))

    result = evaluate(estimator(), constant, problem.phi.expand(20, -1), problem.theta.expand(20, -1))
    assert result.phi.abs().max() == 0
    torch.testing.assert_close(result.theta[:, 0], torch.ones(20, dtype=torch.float64))


@pytest.mark.parametrize(
    ("estimator", "factors"),
    [
        # d z / d phi that each estimator ascribes to z = 0 and to z = 1, from p.
        (StraightThrough(), lambda p: (p * (1 - p), p * (1 - p))),
        (DARN(), lambda p: (p**2, (1 - p) ** 2)),
        (ReinMax(), lambda p: (p / 2, (1 - p) / 2)),
    ],
    ids=["StraightThrough", "DARN", "ReinMax"],
)
def test_variance_of_one_bit(estimator, factors):
    # f = z^3 + z has slopes 1 and 4 at the corners; the gradient takes two values, with probabilities 1 - p and p.
    phi = torch.full((400_000, 1), 0.8, dtype=torch.float64)
    p = phi[0, 0].sigmoid().item()
    low, high = factors(p)
    exact = p * (1 - p) * (4.0 * high - 1.0 * low) ** 2

    def cubic(phi, theta):
        return Expectation(q=bernoulli(phi), f=lambda z, _: (z.pow(3) + z).squeeze(-1) * theta[..., 0])

    torch.manual_seed(4)
    drawn = evaluate(estimator, cubic, phi, torch.ones_like(phi)).phi.var().item()
    assert drawn == pytest.approx(exact, rel=0.05)


@each_estimator
@pytest.mark.parametrize("classes", [0, 5])
def test_float32_is_stable_at_large_logits(estimator, classes):
    torch.manual_seed(6)
    shape = (2, 2_000, classes) if classes else (2, 2_000)
    phi = torch.rand(shape) * 60.0 - 30.0
    theta = torch.randn(2, 2_000)

    def make_target(phi, theta):
        q = categorical(phi) if classes else bernoulli(phi)
        bits = (lambda z: z[..., 0]) if classes else (lambda z: z)
        return Expectation(q=q, f=lambda z, q: -((bits(z) - theta).square().sum(-1)) - q.log_prob(z))

    z = estimator(num_samples=64).draw(make_target(phi, theta).q)
    small = evaluate(at(z, estimator(num_samples=64)), make_target, phi, theta)
    wide = evaluate(at(z.double(), estimator(num_samples=64)), make_target, phi.double(), theta.double())
    for ours, theirs in zip(small, wide, strict=True):
        assert ours.dtype == torch.float32
        scale = theirs.abs().max().item()
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-3, atol=1e-4 * scale)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ReinMax(temperature=0.5), "temperature of ReinMax: expected a finite number of at least 1, got 0.5"),
        (lambda: ReinMax(temperature=0.0), "temperature of ReinMax: expected a finite number of at least 1, got 0.0"),
        (lambda: DARN(num_samples=0), "num_samples of DARN: expected an integer of at least 1, got 0"),
        (lambda: ReinMax(num_samples=-1), "num_samples of ReinMax: expected an integer of at least 1, got -1"),
        (
            lambda: StraightThrough(num_samples=0),
            "num_samples of StraightThrough: expected an integer of at least 1, got 0",
        ),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        make()
