"""The frozen law: the value and the slope in z of the other, and no gradient to its parameters."""

import pytest
import torch
import torch.distributions as td
from tests.distributions.foreign import Flow, logistic, tanh_normal, truncated
from torch import nn

from reparam_suite.distributions import (
    FrozenDensity,
    bernoulli,
    beta,
    categorical,
    dirichlet,
    frozen,
    gamma,
    multivariate_normal,
    normal,
    samples,
    score_term,
    von_mises,
)


def network(num_inputs: int) -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(num_inputs, 5), nn.Tanh(), nn.Linear(5, 2)).double()


NETWORK = network(5)


def affine(phi):
    loc, log_scale = phi.chunk(2, dim=-1)
    base = td.Normal(torch.zeros_like(loc), torch.ones_like(loc))
    return td.Independent(td.TransformedDistribution(base, [td.AffineTransform(loc, log_scale.exp(), cache_size=1)]), 1)


def mixture(phi):
    loc = phi.unsqueeze(-1) * torch.tensor([1.0, -0.5], dtype=phi.dtype)
    return td.MixtureSameFamily(td.Categorical(logits=phi), td.Independent(td.Normal(loc, 1.0), 1))


QS = {
    "normal": lambda phi: normal(phi[..., :2], phi[..., 2:].exp()),
    "multivariate_normal": lambda phi: multivariate_normal(phi[..., :2], phi.exp().reshape(*phi.shape[:-1], 2, 2)),
    "bernoulli": lambda phi: bernoulli(phi),
    "categorical": lambda phi: categorical(phi.unflatten(-1, (2, 2))),
    "gamma": lambda phi: gamma(phi[..., :2].exp(), phi[..., 2:].exp()),
    "beta": lambda phi: beta(phi[..., :2].exp(), phi[..., 2:].exp()),
    "dirichlet": lambda phi: dirichlet(phi.exp().unflatten(-1, (2, 2))),
    "von_mises": lambda phi: von_mises(phi[..., :2], phi[..., 2:].exp()),
    "logistic": logistic,
    "tanh_normal": tanh_normal,
    "affine": affine,
    "log_normal": lambda phi: td.Independent(td.LogNormal(phi[..., :2], phi[..., 2:].exp()), 1),
    "gumbel": lambda phi: td.Independent(td.Gumbel(phi[..., :2], phi[..., 2:].exp()), 1),
    "mixture": mixture,
    "flow": lambda phi: Flow(NETWORK, phi),
}
REBUILT = {"normal", "multivariate_normal", "bernoulli", "categorical", "gamma", "beta", "dirichlet", "von_mises"}


def phi_of(*batch: int) -> torch.Tensor:
    return torch.linspace(-0.7, 0.9, 4, dtype=torch.float64).expand(*batch, 4).clone().requires_grad_()


def drawn(q):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return q.sample((3,)).clone()


@pytest.mark.parametrize("name", QS)
def test_value_and_slope_are_those_of_q_and_no_parameter_is_reached(name):
    phi = phi_of(2)
    q = QS[name](phi)
    z = drawn(q).requires_grad_()
    still = frozen(q).log_prob(z)
    log_q = q.log_prob(z)
    torch.testing.assert_close(still, log_q, rtol=1e-12, atol=1e-12)
    weight = torch.linspace(0.5, 2.0, still.numel(), dtype=torch.float64).reshape(still.shape)
    by_z, by_phi = torch.autograd.grad((weight * still).sum(), (z, phi), allow_unused=True, retain_graph=True)
    expected, reached = torch.autograd.grad((weight * log_q).sum(), (z, phi), retain_graph=True)
    torch.testing.assert_close(by_z, expected, rtol=1e-10, atol=1e-12)
    assert by_phi is None or (by_phi == 0).all()
    assert (reached != 0).any()
    assert (frozen(q).batch_shape, frozen(q).event_shape) == (q.batch_shape, q.event_shape)
    assert frozen(q).sample((5,)).shape == q.sample((5,)).shape


def test_a_flow_leaves_the_weights_of_its_network_alone():
    flow = network(5)
    q = Flow(flow, phi_of(2))
    z = drawn(q).requires_grad_()
    assert isinstance(frozen(q), FrozenDensity)
    reached = torch.autograd.grad(frozen(q).log_prob(z).sum(), [z, *flow.parameters()], allow_unused=True)
    assert (reached[0] != 0).any()
    assert all(gradient is None for gradient in reached[1:])


@pytest.mark.parametrize("name", QS)
def test_it_works_under_func_grad_and_vmap(name):
    """With respect to the parameters and to z, for one datum and for a batch of them."""
    phi = phi_of()
    z = drawn(QS[name](phi))

    def through(phi, z):
        return frozen(QS[name](phi)).log_prob(z).sum()

    by_phi, by_z = torch.func.grad(through, argnums=(0, 1))(phi.detach(), z)
    assert (by_phi == 0).all()
    leaf = z.clone().requires_grad_()
    (expected,) = torch.autograd.grad(QS[name](phi).log_prob(leaf).sum(), leaf)
    torch.testing.assert_close(by_z, expected, rtol=1e-10, atol=1e-12)
    many = torch.func.vmap(torch.func.grad(through, argnums=1), in_dims=(None, 0))(phi.detach(), torch.stack([z, z]))
    torch.testing.assert_close(many, torch.stack([expected, expected]), rtol=1e-10, atol=1e-12)


def test_a_method_of_its_own_comes_first():
    class Own(td.Normal):
        def frozen(self):
            return td.Normal(self.loc.detach() + 1.0, self.scale.detach())

    q = Own(torch.zeros(2, 3), torch.ones(2, 3))
    assert (frozen(q).loc == 1.0).all()
    within = frozen(td.Independent(q, 1))
    assert (within.mean == 1.0).all()
    assert within.event_shape == (3,)


def test_discrete_values_have_no_slope():
    q = truncated(phi_of(2)[..., :2])
    z = drawn(q)
    assert torch.equal(frozen(q).log_prob(z), q.log_prob(z))
    assert not frozen(q).log_prob(z).requires_grad
    counts = td.Independent(td.Categorical(logits=torch.zeros(2, 3, 4, requires_grad=True)), 1)
    assert not frozen(counts).log_prob(counts.sample((5,))).requires_grad


@pytest.mark.parametrize("loc", [0.0, 9.0])
def test_what_a_transform_remembers_serves_the_frozen_law_too(loc):
    """tanh(9) rounds to 1 in float32: the inverse of the sample alone is infinite."""
    phi = torch.tensor([loc, -loc, 0.0, 0.0]).expand(50, 4).clone().requires_grad_()
    q = tanh_normal(phi)
    z = q.rsample((4,))
    log_q = frozen(q).log_prob(z)
    assert log_q.isfinite().all()
    (by_phi,) = torch.autograd.grad(log_q.sum(), phi)
    assert by_phi.isfinite().all()
    # The path alone: log q is that of a normal at x, plus log dx/dz, and x = loc + scale eps.
    x = torch.atanh(z.detach().double()) if loc == 0.0 else None
    if x is not None:
        slope = -x + 2.0 * z.detach().double()
        torch.testing.assert_close(by_phi[:, :2].double(), slope.sum(0), rtol=1e-3, atol=1e-3)


def test_a_transform_with_parameters_does_not_hide_them_behind_what_it_remembers():
    """The score of a location and scale that are stored in an affine transform with a cache."""
    phi = phi_of(3)
    q = affine(phi)
    z = samples(q, 4)
    credit = torch.linspace(-1.0, 2.0, 12, dtype=torch.float64).reshape(4, 3)
    (found,) = torch.autograd.grad(score_term(q, z, credit).sum(), phi)
    same = normal(phi[..., :2], phi[..., 2:].exp())
    (expected,) = torch.autograd.grad(score_term(same, z, credit).sum(), phi)
    torch.testing.assert_close(found, expected)
