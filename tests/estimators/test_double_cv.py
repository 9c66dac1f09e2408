import pytest
import torch
from tests.estimators.fixed_noise import assert_same, at, evaluate, noise_like, on

from reparam_suite.distributions import bernoulli
from reparam_suite.estimators import RODEO, DoubleCV, Expectation, LeaveOneOut, ScoreFunction
from reparam_suite.problems import BernoulliCurved, BernoulliModel

each_problem = pytest.mark.parametrize("problem", [BernoulliCurved(), BernoulliModel()], ids=str)


@each_problem
@pytest.mark.parametrize("num_samples", [2, 5])
@pytest.mark.parametrize("estimator", [DoubleCV, RODEO])
def test_strength_0_is_leave_one_out(problem, num_samples, estimator):
    plain = ScoreFunction(num_samples=num_samples, baseline=LeaveOneOut())
    z = noise_like(problem, plain.draw)
    plain = on(at(z, plain), problem)
    assert_same(on(at(z, estimator(num_samples=num_samples, strength=0.0)), problem), plain)
    controlled = on(at(z, estimator(num_samples=num_samples, strength=0.7)), problem)
    assert_same(controlled._replace(phi=plain.phi), plain)
    assert not torch.allclose(controlled.phi, plain.phi)


def linear(phi, theta):
    return Expectation(q=bernoulli(phi), f=lambda z, _: (z * theta).sum(-1) + 1.0)


def test_double_cv_of_strength_1_has_no_noise_on_linear_functions():
    torch.manual_seed(0)
    phi, slope = torch.randn(100, 4, dtype=torch.float64), torch.randn(100, 4, dtype=torch.float64)
    drawn = evaluate(DoubleCV(num_samples=3, strength=1.0), linear, phi, slope).phi
    torch.testing.assert_close(drawn, slope * phi.sigmoid() * (-phi).sigmoid())


def test_variance_of_double_cv_of_one_bit():
    # f = a z and K = 2: what is left of f after the control is (1 - s) a z, whose leave-one-out estimate is
    # (1 - s) a (z_1 - z_2)^2 / 2, and (z_1 - z_2)^2 is one with probability m = 2 p (1 - p).
    phi, a, strength = 0.8, 3.0, 0.4
    p = torch.tensor(phi).sigmoid().item()
    m = 2 * p * (1 - p)
    exact = ((1 - strength) * a / 2) ** 2 * m * (1 - m)
    torch.manual_seed(1)
    one = torch.ones(200_000, 1, dtype=torch.float64)
    drawn = evaluate(DoubleCV(strength=strength), linear, phi * one, a * one).phi.var().item()
    assert drawn == pytest.approx(exact, rel=0.05)


def neighbour_by_neighbour(estimator, phi, z, f, slope):
    """RODEO of one datum by its definition: every surrogate at every sample with every bit flipped, in plain loops."""
    p = phi.sigmoid()
    num_samples, num_latents = z.shape
    eps = torch.finfo(z.dtype).eps
    scales = [(s.square() * (p * (1 - p) + eps)).sum().sqrt() for s in slope]

    def tangent(j, y):
        return (slope[j] * (y - p)).sum() / scales[j]

    def surrogate(j, y, output):
        features = torch.stack([tangent(j, z[j]), scales[j].log()])
        c = estimator.network(features).reshape(3, 2)[:, output] * estimator.learned_strengths[output]
        return scales[j] * (c[0] + c[1] * tangent(j, y) + c[2] * tangent(j, y) ** 2)

    def mean_surrogate(k, y, output):
        return sum(surrogate(j, y, output) for j in range(num_samples) if j != k) / (num_samples - 1)

    def stein(k, h):
        total = 0.0
        for d in range(num_latents):
            y = z[k].clone()
            y[d] = 1.0 - y[d]
            leaves = p[d] if y[d] == 1.0 else 1.0 - p[d]
            total = total + leaves * (h(y) - h(z[k]))
        return total

    baselines = [f[j] + stein(j, lambda y, j=j: mean_surrogate(j, y, 0)) for j in range(num_samples)]
    total = 0.0
    for k in range(num_samples):
        others = sum(baselines[j] for j in range(num_samples) if j != k) / (num_samples - 1)
        beside = stein(k, lambda y, k=k: mean_surrogate(k, y, 1) * (y - p))
        total = total + (f[k] - others) * (z[k] - p) + beside
    return total / num_samples


@pytest.mark.parametrize("num_samples", [2, 4])
def test_rodeo_sums_over_neighbours_in_closed_form(num_samples):
    torch.manual_seed(2)
    estimator = RODEO(num_samples=num_samples, strength=0.9, hidden_sizes=(7,)).double()
    phi = torch.randn(3, 5, dtype=torch.float64)
    z = bernoulli(phi).sample((num_samples,))
    f, slope = torch.randn(num_samples, 3).double(), torch.randn(num_samples, 3, 5).double()
    fast = estimator.gradient(bernoulli(phi), z, f, slope)
    slow = [neighbour_by_neighbour(estimator, phi[i], z[:, i], f[:, i], slope[:, i]) for i in range(3)]
    torch.testing.assert_close(fast, torch.stack(slow))


def test_rodeo_does_not_depend_on_the_unit_of_f():
    torch.manual_seed(3)
    estimator = RODEO(num_samples=3, strength=0.9)
    estimator.network[0].weight.data[:, 1] = 0.0  # log s is all of the unit that the network sees
    phi = torch.randn(4, 5)
    z = bernoulli(phi).sample((3,))
    f, slope = torch.randn(3, 4), torch.randn(3, 4, 5)
    drawn = estimator.gradient(bernoulli(phi), z, f, slope)
    torch.testing.assert_close(estimator.gradient(bernoulli(phi), z, 100.0 * f, 100.0 * slope), 100.0 * drawn)


def test_memory_of_rodeo_is_that_of_its_samples():
    # 300,000 latents: a D x D tensor of neighbours would take 360 GB.
    phi = torch.zeros(1, 300_000, requires_grad=True)
    weight = torch.linspace(-1.0, 1.0, 300_000)
    target = Expectation(q=bernoulli(phi), f=lambda z, _: (z * weight).sum(-1).div(300.0).cos())
    estimate = RODEO(num_samples=4)(target)
    (estimate.control_loss - estimate.objective.sum()).backward()
    assert phi.grad.abs().max() > 0
