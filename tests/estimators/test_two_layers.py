"""Two stochastic layers: an f that holds an inner estimate, for every pair of unbiased estimators."""

import functools
import itertools
from typing import final

import pytest
import torch
from tests.estimators.nesting import NESTING
from tests.statistics import LIMIT, Draws, measure

from reparam_suite.distributions import bernoulli
from reparam_suite.estimators import (
    RODEO,
    UGC,
    BitFlip,
    DoubleCV,
    Expectation,
    Learned,
    LocalExpectation,
    ScoreFunction,
)
from reparam_suite.problems import Problem

# These evaluate f without a gradient as well, or train parameters of their own.
OTHERS = {
    "BitFlip": lambda: BitFlip(num_samples=2),
    "UGC": lambda: UGC(threshold=0.3),
    "LocalExpectation": lambda: LocalExpectation(),
    "Learned": lambda: ScoreFunction(num_samples=3, baseline=Learned(hidden_sizes=[4])).double(),
    "DoubleCV": lambda: DoubleCV(strength=0.5).double(),
    "RODEO": lambda: RODEO(strength=0.5).double(),
}
PAIRS = [
    *itertools.product(NESTING, NESTING),
    *itertools.product(["DisARM"], OTHERS),
    *itertools.product(["BitFlip", "UGC", "LocalExpectation"], ["DisARM"]),
    ("RODEO", "DoubleCV"),
]
MAKE = NESTING | OTHERS
BITS = [torch.tensor(bits, dtype=torch.float64) for bits in itertools.product([0.0, 1.0], repeat=2)]


@final
class TwoLayers(Problem):
    """The evidence of two layers of two bits, z2 above z1: phi is the upper one's, the lower one's stands in theta.

    E_{q(z2)} [ E_{q(z1|z2)} [g(z1, z2) - log q(z1|z2)] - log q(z2) ]
    """

    num_latents = 2

    def __init__(self, inner=None):
        super().__init__()
        self.inner = inner

    @property
    def phi(self):
        return torch.tensor([0.7, -1.1], dtype=torch.float64)

    @property
    def theta(self):
        # Four weights and two biases of q(z1|z2), then three weights of g.
        return torch.tensor([1.2, -0.7, 0.5, 0.9, -0.4, 0.3, 1.3, -1.6, 0.8], dtype=torch.float64)

    blocks = (slice(0, 6), slice(6, 9))  # of theta: the inner phi, and what is left of theta

    def q(self, phi):
        return bernoulli(phi)

    def integrand(self, theta):
        weight, bias, model = theta[..., :4].unflatten(-1, (2, 2)), theta[..., 4:6], theta[..., 6:]

        def f(z2, q2):
            logits = (weight * z2.unsqueeze(-2)).sum(-1) + bias
            lower = Expectation(
                q=bernoulli(logits), f=lambda z1, q1: self.model(z1, z2, model) - q1.log_prob(z1), context=z2
            )
            inner = self.inner(lower)
            return inner.objective - inner.control_loss - q2.log_prob(z2)

        return f

    @staticmethod
    def model(z1, z2, theta):
        """Curved, and coupled within the layers and between them."""
        sums = theta[..., 0] * z1[..., 0] + theta[..., 1] * z2[..., 1] * z1[..., 1]
        return sums.exp() + theta[..., 2] * z2[..., 0] * z1[..., 0] * z1[..., 1]

    def exact_value(self, phi, theta):
        """Every state of the one layer, and every state of the other: a plain loop."""

        def log_probability(logits, z):
            p = 1.0 / (1.0 + torch.exp(-logits))
            return sum((p[d] if z[d] == 1.0 else 1.0 - p[d]).log() for d in range(2))

        weight, bias, model = theta[:4].reshape(2, 2), theta[4:6], theta[6:]
        total = phi.new_zeros(())
        for z2 in BITS:
            log_q2 = log_probability(phi, z2)
            for z1 in BITS:
                log_q1 = log_probability(weight @ z2 + bias, z1)
                total = total + (log_q1 + log_q2).exp() * (self.model(z1, z2, model) - log_q1 - log_q2)
        return total


@functools.cache
def exact():
    problem = TwoLayers()
    by_phi, by_theta = problem.exact_gradient().split([2, 9])
    value = problem.exact_value(problem.phi, problem.theta)
    return {"value": value, "outer": by_phi, "inner": by_theta[TwoLayers.blocks[0]], "theta": by_theta[6:]}


def part(draws, block):
    return Draws(draws.mean[block], draws.standard_error[block])


@pytest.mark.parametrize(("outer", "inner"), PAIRS)
def test_gradients_of_both_layers_are_unbiased(outer, inner):
    drawn = measure(MAKE[outer](), TwoLayers(MAKE[inner]()))
    lower, model = (part(drawn.theta, block) for block in TwoLayers.blocks)
    for name, draws in (("value", drawn.value), ("outer", drawn.phi), ("inner", lower), ("theta", model)):
        worst = draws.z_scores(exact()[name]).max().item()
        assert worst < LIMIT, f"{name}: |z| = {worst:.1f}"
        planted = draws.scaled(1.03).z_scores(exact()[name]).max().item()
        assert planted > LIMIT, f"{name}: |z| = {planted:.1f} with a planted error"


@pytest.mark.parametrize("outer", NESTING | {"LocalExpectation": OTHERS["LocalExpectation"]})
def test_an_inner_estimator_trains_through_the_outer_objective(outer):
    problem = TwoLayers(MAKE["Learned"]())
    phi, theta = problem.phi.expand(50, -1).clone().requires_grad_(), problem.theta.expand(50, -1).clone()
    losses = []
    problem.inner.register_forward_hook(lambda _, __, estimate: losses.append(estimate.control_loss))
    estimate = MAKE[outer]()(problem.expectation(phi, theta))
    own = list(problem.inner.parameters())
    through = torch.autograd.grad((estimate.control_loss - estimate.objective.mean()), own, retain_graph=True)
    direct = torch.autograd.grad(losses[0], own)
    torch.testing.assert_close(through, direct, rtol=1e-10, atol=1e-14)
    assert all(gradient.abs().max() > 0 for gradient in direct)
