"""Antithetic and controlled pathwise gradients: identities at the same noise, and variances in closed form."""

import pytest
import torch
from tests.statistics import SEED, draw_once

from reparam_suite.distributions import multivariate_normal, normal, parameters
from reparam_suite.estimators import (
    AntitheticPathwise,
    ControlledPathwise,
    Expectation,
    LogMeanExp,
    Pathwise,
    StickTheLanding,
)
from reparam_suite.problems import (
    FullGaussianModel,
    FullGaussianQuadratic,
    FullGaussianWave,
    GaussianModel,
    GaussianQuadratic,
    GaussianWave,
    ToyGaussian,
)

# The curvature A of the quadratic problems, -1/2 (z - a)^T A (z - a), and their standard deviations.
CURVATURE = torch.tensor([[1.3, 0.4], [0.4, 0.7]], dtype=torch.float64)
SCALE = torch.tensor([-0.3, 0.2], dtype=torch.float64).exp()


def gradients(estimator, problem, num_replicates=400_000):
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        _, by_phi, _ = draw_once(estimator.double(), problem, num_replicates)
    return by_phi


def at(target, problem, num_data=6):
    phi = problem.phi.expand(num_data, -1).clone().requires_grad_()
    theta = problem.theta.expand(num_data, -1).clone().requires_grad_()
    objective = target(problem.expectation(phi, theta)).objective
    return objective.detach(), *torch.autograd.grad(objective.sum(), (phi, theta))


def placed(q, eps):
    own = parameters(q)
    if "scale" in own:
        return own["loc"] + own["scale"] * eps
    return own["loc"] + (own["scale_tril"] @ eps.unsqueeze(-1)).squeeze(-1)


def with_noise(estimator, eps):
    estimator.draw = lambda q: placed(q, eps)
    return estimator


def equal(ours, theirs):
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-12, atol=1e-12)


# ---------------------------------------------------------------------------------------------- at the same noise


@pytest.mark.parametrize("problem", [GaussianWave(), FullGaussianWave()], ids=str)
def test_antithetic_is_pathwise_at_paired_noise(problem):
    eps = torch.randn(2, 6, 2, dtype=torch.float64)
    ours = AntitheticPathwise(num_samples=4)
    ours.draw = lambda q: eps
    equal(at(ours, problem), at(with_noise(Pathwise(num_samples=4), torch.cat([eps, -eps])), problem))


@pytest.mark.parametrize("problem", [GaussianModel(), FullGaussianModel()], ids=str)
def test_antithetic_sticks_the_landing_at_paired_noise(problem):
    eps = torch.randn(2, 6, 2, dtype=torch.float64)
    ours = AntitheticPathwise(num_samples=4)
    ours.draw = lambda q: eps
    equal(at(ours, problem), at(with_noise(StickTheLanding(num_samples=4), torch.cat([eps, -eps])), problem))


@pytest.mark.parametrize("problem", [GaussianWave(), GaussianModel()], ids=str)
def test_controlled_with_strength_0_sticks_the_landing(problem):
    eps = torch.randn(3, 6, 2, dtype=torch.float64)
    ours = ControlledPathwise(num_samples=3).double()
    torch.nn.init.zeros_(ours.strength)
    ours.draw = lambda q: (eps, eps.sign())
    equal(at(ours, problem), at(with_noise(StickTheLanding(num_samples=3), eps), problem))


def test_control_loss_is_the_derivative_of_the_squared_gradient():
    problem, num_data, step = GaussianWave(), 6, 1e-6
    eps = torch.randn(3, num_data, 2, dtype=torch.float64)
    signs = torch.randn_like(eps).sign()
    estimator = ControlledPathwise(num_samples=3).double()
    estimator.draw = lambda q: (eps, signs)
    loc, scale = (
        given.expand(num_data, -1).clone().requires_grad_() for given in (problem.phi[:2], problem.phi[2:].exp())
    )
    target = Expectation(q=normal(loc, scale), f=problem.integrand(problem.theta))

    def squared_gradient(strength):
        with torch.no_grad():
            estimator.strength.copy_(strength)
        by = torch.autograd.grad(estimator(target).objective.sum(), (loc, scale))
        return sum(gradient.square().sum(-1).mean() for gradient in by)

    start = torch.tensor([0.7, 0.4], dtype=torch.float64)
    moved = torch.eye(2, dtype=torch.float64) * step
    expected = [(squared_gradient(start + shift) - squared_gradient(start - shift)) / (2 * step) for shift in moved]
    squared_gradient(start)
    (ours,) = torch.autograd.grad(estimator(target).control_loss, estimator.strength)
    torch.testing.assert_close(ours, torch.stack(expected), rtol=1e-6, atol=1e-8)


# ------------------------------------------------------------------------------------------ variances in closed form


def test_variance_of_pathwise():
    assert gradients(Pathwise(), ToyGaussian()).var().item() == pytest.approx(
        ToyGaussian().variance_of_pathwise(), rel=0.05
    )


NO_NOISE_BY_LOC = [
    (AntitheticPathwise(), GaussianQuadratic()),
    (AntitheticPathwise(), FullGaussianQuadratic()),
    (AntitheticPathwise(num_samples=4), ToyGaussian()),
    (ControlledPathwise(), GaussianQuadratic()),
    (ControlledPathwise(num_samples=3), ToyGaussian()),
]


@pytest.mark.parametrize(("estimator", "problem"), NO_NOISE_BY_LOC, ids=lambda value: str(value).partition("(")[0])
def test_a_quadratic_makes_no_noise_by_loc(estimator, problem):
    by_loc = gradients(estimator, problem, 1_000)[:, : problem.num_latents]
    exact = problem.exact_gradient()[: problem.num_latents]
    torch.testing.assert_close(by_loc, exact.expand_as(by_loc), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("num_samples", [2, 6])
def test_antithetic_variance_by_log_scale(num_samples):
    # A pair gives -sum_j A_ij s_j e_j e_i s_i; there are K/2 of them.
    spread = CURVATURE.square() * SCALE.square()
    expected = SCALE.square() * (spread.sum(-1) + spread.diagonal()) / (num_samples / 2)
    variance = gradients(AntitheticPathwise(num_samples=num_samples), GaussianQuadratic())[:, 2:].var(0)
    torch.testing.assert_close(variance, expected, rtol=0.05, atol=0.0)


@pytest.mark.parametrize("num_samples", [1, 3])
def test_controlled_variance_by_log_scale_is_that_of_the_off_diagonal(num_samples):
    # Of -sum_j A_ij s_j sign_j sign_i s_i, whose diagonal term is constant.
    spread = CURVATURE.square() * SCALE.square()
    expected = SCALE.square() * (spread.sum(-1) - spread.diagonal()) / num_samples
    variance = gradients(ControlledPathwise(num_samples=num_samples), GaussianQuadratic())[:, 2:].var(0)
    torch.testing.assert_close(variance, expected, rtol=0.05, atol=0.0)


QS = {
    "normal": lambda p: normal(p[..., :2], p[..., 2:4].exp()),
    "full": lambda p: multivariate_normal(p[..., :2], torch.diag_embed(p[..., 2:4].exp()) + p[..., 4:, None].tril(-1)),
}


@pytest.mark.parametrize(
    ("make", "q"),
    [(AntitheticPathwise, QS["normal"]), (AntitheticPathwise, QS["full"]), (ControlledPathwise, QS["normal"])],
    ids=["antithetic-normal", "antithetic-full", "controlled"],
)
def test_a_linear_f_makes_no_noise_at_all(make, q):
    slope = torch.tensor([1.7, -0.4], dtype=torch.float64)
    phi = torch.tensor([0.3, -0.8, 0.1, 0.5, 0.9], dtype=torch.float64).expand(100, -1).clone().requires_grad_()
    objective = make().double()(Expectation(q=q(phi), f=lambda z, _: (slope * z).sum(-1))).objective
    (gradient,) = torch.autograd.grad(objective.sum(), phi)
    expected = torch.cat([slope, slope.new_zeros(3)]).expand_as(gradient)
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-12)


# ------------------------------------------------------------------------------------------------ bad input, stability


@pytest.mark.parametrize("num_samples", [3, 5])
def test_an_odd_number_of_samples_is_refused(num_samples):
    with pytest.raises(
        ValueError,
        match=f"num_samples of AntitheticPathwise: expected an even number, .* got {num_samples}",
    ):
        AntitheticPathwise(num_samples=num_samples)


def test_no_samples_are_refused():
    with pytest.raises(ValueError, match="num_samples of AntitheticPathwise: expected an integer of at least 2, got 0"):
        AntitheticPathwise(num_samples=0)
    with pytest.raises(ValueError, match="num_samples of ControlledPathwise: expected an integer of at least 1, got 0"):
        ControlledPathwise(num_samples=0)


@pytest.mark.parametrize("make", [AntitheticPathwise, ControlledPathwise])
def test_dependent_samples_are_refused_on_the_importance_weighted_bound(make):
    problem = GaussianModel(bound=LogMeanExp())
    with pytest.raises(ValueError, match=f"{make.__name__}: expected the bound Average, got LogMeanExp"):
        make()(problem.expectation(problem.phi, problem.theta))


@pytest.mark.parametrize("make", [AntitheticPathwise, ControlledPathwise])
def test_many_latents_of_any_scale_in_single_precision(make):
    raw = torch.cat([torch.linspace(-30.0, 30.0, 2_000), torch.linspace(-4.0, 6.0, 2_000)])
    raw = raw.expand(2, -1).clone().requires_grad_()
    loc, log_scale = raw.chunk(2, -1)
    q = normal(loc, log_scale.exp())
    # Of -1/2 z^2 - log q the gradient by loc is -loc and by log scale 1 - scale^2, up to the noise.
    objective = make(num_samples=64)(
        Expectation(q=q, f=lambda z, q: -0.5 * z.square().sum(-1) - q.log_prob(z))
    ).objective
    (gradient,) = torch.autograd.grad(objective.sum(), raw)
    assert torch.isfinite(objective).all()
    assert torch.isfinite(gradient).all()
    torch.testing.assert_close(gradient[:, :2_000], -loc, rtol=1e-3, atol=0.1)
