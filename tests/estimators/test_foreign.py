"""The contract on distributions that exist in tests only: value, phi and theta against quadrature or a plain sum."""

import itertools
import math

import numpy as np
import pytest
import torch
from tests.distributions.foreign import Flow, logistic, quantile_logistic, tanh_normal, truncated
from tests.statistics import LIMIT, measure
from torch import Tensor, nn
from torch.distributions import AffineTransform, Distribution, Independent, Normal, TransformedDistribution

from reparam_suite.distributions import FrozenDensity, frozen
from reparam_suite.estimators import (
    AntitheticPathwise,
    Average,
    DisARM,
    Enumeration,
    Expectation,
    GradientEstimator,
    GumbelSoftmax,
    LeaveOneOut,
    LocalExpectation,
    LogMeanExp,
    MuProp,
    OptimalConstant,
    Pathwise,
    Quadrature,
    ScoreFunction,
    StickTheLanding,
)
from reparam_suite.problems import Problem


class TwoLatents(Problem):
    """E[theta_0 sin(z_0 + 2 z_1) + theta_1 z_0 + theta_2 z_1^2 - log q(z)] of two latents."""

    num_latents = 2
    num_nodes = 60

    @property
    def phi(self) -> Tensor:
        return torch.tensor([0.5, -0.3, -0.4, -0.2], dtype=torch.float64)

    @property
    def theta(self) -> Tensor:
        return torch.tensor([0.9, 1.3, -0.7], dtype=torch.float64)

    def curved(self, z: Tensor, theta: Tensor) -> Tensor:
        wave = (z[..., 0] + 2.0 * z[..., 1]).sin()
        return theta[..., 0] * wave + theta[..., 1] * z[..., 0] + theta[..., 2] * z[..., 1].square()

    def integrand(self, theta: Tensor):
        return lambda z, q: self.curved(z, theta) - q.log_prob(z)

    def nodes(self, phi: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """z, its probability and log q(z) at the nodes of a quadrature that moves with phi, written out again."""
        raise NotImplementedError

    def exact_value(self, phi: Tensor, theta: Tensor) -> Tensor:
        z, mass, log_q = self.nodes(phi)
        f = self.curved(z, theta) - log_q
        if isinstance(self.bound, Average):
            return (mass * f).sum()
        pairs = self.bound.value(torch.stack([f.unsqueeze(1).expand(-1, len(f)), f.expand(len(f), -1)]))
        return (mass.unsqueeze(1) * mass * pairs).sum()


def grid(nodes: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    return torch.cartesian_prod(nodes, nodes), torch.cartesian_prod(weights, weights).prod(-1)


def normal_grid(num_nodes: int) -> tuple[Tensor, Tensor]:
    nodes, weights = (torch.from_numpy(array) for array in np.polynomial.hermite_e.hermegauss(num_nodes))
    return grid(nodes, weights / math.sqrt(2.0 * math.pi))


class LogisticProblem(TwoLatents):
    def q(self, phi: Tensor) -> Distribution:
        return logistic(phi)

    def nodes(self, phi: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # The trapezoid rule in y = (z - loc) / scale, whose density is 1 / (4 cosh(y / 2)^2): exponentially exact.
        step = 0.7
        y = torch.arange(-56, 57, dtype=torch.float64) * step
        density = 0.25 / (0.5 * y).cosh().square()
        y, mass = grid(y, step * density)
        loc, log_scale = phi.chunk(2)
        log_q = (0.25 / (0.5 * y).cosh().square()).log().sum(-1) - log_scale.sum()
        return loc + log_scale.exp() * y, mass, log_q


class QuantileLogisticProblem(LogisticProblem):
    def q(self, phi: Tensor) -> Distribution:
        return quantile_logistic(phi)


class TanhNormalProblem(TwoLatents):
    def q(self, phi: Tensor) -> Distribution:
        return tanh_normal(phi)

    def nodes(self, phi: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        e, mass = normal_grid(40 if isinstance(self.bound, Average) else 30)
        loc, log_scale = phi.chunk(2)
        x = loc + log_scale.exp() * e
        log_q = -0.5 * e.square().sum(-1) - math.log(2.0 * math.pi) - log_scale.sum() + 2.0 * x.cosh().log().sum(-1)
        return x.tanh(), mass, log_q


class AffineProblem(TwoLatents):
    """A location and scale that are stored in a transform with a cache."""

    def q(self, phi: Tensor) -> Distribution:
        loc, log_scale = phi.chunk(2, dim=-1)
        base = Normal(torch.zeros_like(loc), torch.ones_like(loc))
        affine = AffineTransform(loc, log_scale.exp(), cache_size=1)
        return Independent(TransformedDistribution(base, [affine]), 1)

    def nodes(self, phi: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        e, mass = normal_grid(40)
        loc, log_scale = phi.chunk(2)
        log_q = -0.5 * e.square().sum(-1) - math.log(2.0 * math.pi) - log_scale.sum()
        return loc + log_scale.exp() * e, mass, log_q


torch.manual_seed(11)
NETWORK = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 2)).double().requires_grad_(False)


class FlowProblem(TwoLatents):
    """Phi is what the flow's network sees beside the latent."""

    @property
    def phi(self) -> Tensor:
        return torch.tensor([0.9, -0.8, -1.4, 1.2], dtype=torch.float64)

    def q(self, phi: Tensor) -> Distribution:
        return Flow(NETWORK, phi)

    def nodes(self, phi: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        e, mass = normal_grid(60)
        shift, raw = NETWORK(torch.cat([e[:, :1], phi.expand(len(e), -1)], -1)).unbind(-1)
        log_scale = 0.5 * raw.tanh()
        z = torch.stack([e[:, 0], (e[:, 1] - shift) * (-log_scale).exp()], -1)
        return z, mass, -0.5 * e.square().sum(-1) - math.log(2.0 * math.pi) + log_scale


class TruncatedProblem(TwoLatents):
    @property
    def phi(self) -> Tensor:
        return torch.tensor([0.4, -0.6], dtype=torch.float64)

    def q(self, phi: Tensor) -> Distribution:
        return truncated(phi)

    def nodes(self, phi: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        z = torch.tensor(list(itertools.product(range(4), repeat=2)), dtype=torch.float64)
        weights = [torch.exp(phi[d] * torch.arange(4.0, dtype=torch.float64)) for d in range(2)]
        log_p = [(weight / weight.sum()).log() for weight in weights]
        log_q = log_p[0][z[:, 0].long()] + log_p[1][z[:, 1].long()]
        return z, log_q.exp(), log_q


def loo(num_samples: int) -> GradientEstimator:
    return ScoreFunction(num_samples=num_samples, baseline=LeaveOneOut())


CASES = [
    *[(make, problem()) for problem in (LogisticProblem, TanhNormalProblem, AffineProblem, FlowProblem)
      for make in (Pathwise, StickTheLanding, lambda: StickTheLanding(num_samples=3), lambda: loo(4))],
    (AntitheticPathwise, QuantileLogisticProblem()),
    (lambda: ScoreFunction(num_samples=4, baseline=OptimalConstant()), LogisticProblem()),
    *[(make, problem(bound=LogMeanExp(), num_samples=2)) for problem in (TanhNormalProblem, AffineProblem)
      for make in (lambda: Pathwise(num_samples=2), lambda: StickTheLanding(num_samples=2), lambda: loo(2))],
    (lambda: loo(4), TruncatedProblem()),
    (lambda: loo(2), TruncatedProblem(bound=LogMeanExp(), num_samples=2)),
    (Enumeration, TruncatedProblem()),
    (lambda: Enumeration(num_samples=2), TruncatedProblem(bound=LogMeanExp(), num_samples=2)),
]  # fmt: skip


def name_of(case) -> str:
    make, problem = case
    return f"{type(make()).__name__}-K{make().num_samples}-{problem}"


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_value_and_gradients_are_the_exact_ones(case):
    make, problem = case
    estimator = make().double().eval()
    assert estimator.fits(problem.q(problem.phi)) is None
    drawn = measure(estimator, problem)
    by_phi, by_theta = problem.exact_gradient().split([len(problem.phi), len(problem.theta)])
    value = problem.exact_value(problem.phi, problem.theta).detach()
    for found, exact in ((drawn.value, value), (drawn.phi, by_phi), (drawn.theta, by_theta)):
        assert found.z_scores(exact).max() < LIMIT
        assert found.scaled(1.03).z_scores(exact).max() > LIMIT, "an error of 3 % would not be seen"


@pytest.mark.parametrize("problem", [LogisticProblem(), TanhNormalProblem(), FlowProblem(), AffineProblem()], ids=str)
def test_sticking_the_landing_has_no_noise_where_f_is_constant_beside_log_q(problem):
    """f = c - log q(z) + log q(z) of a law that is the same: the path derivative vanishes for every sample."""
    phi = problem.phi.expand(20, -1).clone().requires_grad_()
    posterior = problem.q(problem.phi)
    f = lambda z, q: posterior.log_prob(z.clone()) - q.log_prob(z)  # noqa: E731
    objective = StickTheLanding(num_samples=2)(Expectation(q=problem.q(phi), f=f)).objective
    assert torch.autograd.grad(objective.sum(), phi)[0].abs().max() < 1e-9
    plain = Pathwise(num_samples=2)(Expectation(q=problem.q(phi), f=f)).objective
    assert torch.autograd.grad(plain.sum(), phi)[0].abs().max() > 1e-3


@pytest.mark.parametrize("make", [Pathwise, StickTheLanding, lambda: loo(2), lambda: StickTheLanding(num_samples=3)])
def test_a_cache_serves_samples_at_the_edge_of_the_support(make):
    """In float32 tanh(9) is 1: without what the transform remembers log q is not finite."""
    phi = torch.tensor([9.0, -9.0, 0.0, 0.0]).expand(100, -1).clone().requires_grad_()
    q = tanh_normal(phi)
    assert not q.log_prob(q.sample((1,)).clone()).isfinite().all()
    objective = make()(Expectation(q=q, f=lambda z, q: z.sum(-1) - 0.1 * q.log_prob(z))).objective
    assert objective.isfinite().all()
    assert torch.autograd.grad(objective.sum(), phi)[0].isfinite().all()


REFUSALS = [
    (AntitheticPathwise(), LogisticProblem(), r"AntitheticPathwise: expected .* inverse_cdf\(u\).*, got Logistic"),
    (AntitheticPathwise(), FlowProblem(), r"AntitheticPathwise: .*, got Flow of event_shape \[2\]"),
    (Pathwise(), TruncatedProblem(), r"Pathwise: expected a q with reparameterized samples \(rsample\), got Truncated"),
    (StickTheLanding(), TruncatedProblem(), "StickTheLanding: expected a q with reparameterized samples"),
    (DisARM(), TruncatedProblem(), "DisARM: expected a q of independent bits, .*, got Truncated"),
    (LocalExpectation(), TruncatedProblem(), "LocalExpectation: expected a q of independent bits, .*, got Truncated"),
    (GumbelSoftmax(), LogisticProblem(), "GumbelSoftmax: expected .*, got Logistic"),
    (MuProp(), LogisticProblem(), "MuProp: expected a q whose mean is known, got Logistic"),
    (Enumeration(), LogisticProblem(), r"Enumeration: expected a q whose values can be enumerated .*, got Logistic"),
    (Quadrature(), LogisticProblem(), "Quadrature: expected a normal q, .*, got Logistic"),
    (
        ScoreFunction(baseline=OptimalConstant()),
        FlowProblem(),
        r"ScoreFunction: baseline OptimalConstant: expected a q with parameters \[\*batch_shape, ...\], got Flow",
    ),
]


@pytest.mark.parametrize(("estimator", "problem", "message"), REFUSALS, ids=lambda value: type(value).__name__)
def test_what_the_mathematics_does_not_allow_is_refused_by_name(estimator, problem, message):
    with pytest.raises(ValueError, match=message):
        estimator(problem.expectation(problem.phi.expand(2, -1), problem.theta.expand(2, -1)))


def test_the_flow_is_frozen_by_its_density_alone():
    assert isinstance(frozen(FlowProblem().q(FlowProblem().phi)), FrozenDensity)
