"""Under bfloat16 autocast f is rounded and nothing else: value and gradient stay what they are, to that rounding."""

import pytest
import torch
from tests.estimators.cases import ROWS, Case, Row
from tests.statistics import SEED
from torch import Tensor, nn

from reparam_suite.distributions import bernoulli, parameters
from reparam_suite.estimators import Expectation, GradientEstimator, Learned, LogMeanExp, ScoreFunction

# A bfloat16 has 8 significant bits: each of the roundings within f is 0.2 % in the mean, 0.4 % at most. Measured on
# these cases: 0.8 % of the largest coordinate of the mean gradient, and 4 % of the largest value of a single datum.
TOLERANCE = 0.03
NUM_DATA = 500


class Network(nn.Module):
    """f, with layers that autocast rounds; keeps the types that it meets."""

    def __init__(self, num_inputs: int, *, with_log_q: bool) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.first, self.second = nn.Linear(num_inputs, 16), nn.Linear(16, 1)
        self.with_log_q = with_log_q
        self.given: set[torch.dtype] = set()
        self.rounded: set[torch.dtype] = set()

    def forward(self, z, q):
        self.given |= {z.dtype, q.log_prob(z).dtype, *(parameter.dtype for parameter in parameters(q).values())}
        hidden = self.first(z.flatten(z.dim() - len(q.event_shape)))
        self.rounded.add(hidden.dtype)
        f = self.second(hidden.tanh()).squeeze(-1)
        return f - 0.5 * q.log_prob(z) if self.with_log_q else f


def drawn(row: Row, *, autocast: bool) -> tuple[Tensor, dict[str, Tensor], Network]:
    """The objective of each datum, the gradients with respect to phi and the network's parameters, the network."""
    problem = row.problems[0]
    with torch.random.fork_rng():
        torch.manual_seed(SEED)  # learned parts start alike
        estimator = row.make().float().eval()
    phi = problem.phi.float().expand(NUM_DATA, -1).clone().requires_grad_()
    q = problem.q(phi)
    f = Network(q.event_shape.numel(), with_log_q=isinstance(problem.bound, LogMeanExp))
    with torch.random.fork_rng(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        torch.manual_seed(SEED)
        estimate = estimator(Expectation(q=q, f=f, bound=problem.bound, context=phi.detach()))
    inputs = {"phi": phi, **dict(f.named_parameters())}
    gradients = torch.autograd.grad(estimate.objective.mean(), list(inputs.values()), allow_unused=True)
    found = {name: gradient for name, gradient in zip(inputs, gradients, strict=True) if gradient is not None}
    return estimate.objective.detach(), found | {"phi": found["phi"].sum(0)}, f


def error(found: Tensor, expected: Tensor) -> float:
    return ((found - expected).abs().max() / expected.abs().max()).item()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(Case(row, row.problems[0])))
def test_value_and_gradient_are_those_of_float32_to_the_rounding_of_f(row):
    objective, gradients, f = drawn(row, autocast=True)
    expected, exact, _ = drawn(row, autocast=False)
    assert f.rounded == {torch.bfloat16}, "autocast does reach f"
    assert f.given == {torch.float32}, "samples, parameters and log-probabilities"
    assert objective.dtype == torch.float32
    assert 0.0 < error(objective, expected) < 2.0 * TOLERANCE
    assert gradients.keys() == exact.keys()
    for name, gradient in gradients.items():
        assert gradient.dtype == torch.float32
        assert error(gradient, exact[name]) < TOLERANCE < error(1.1 * gradient, exact[name]), name


def test_a_posterior_in_bfloat16_is_widened_before_anything_is_drawn():
    """As it comes from an encoder under autocast."""
    encoder, x = nn.Linear(4, 3), torch.ones(5, 4)
    f = Network(3, with_log_q=False)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        q = bernoulli(encoder(x))
        estimate = ScoreFunction(num_samples=2)(Expectation(q=q, f=f))
    assert parameters(q)["logits"].dtype == torch.bfloat16
    assert f.given == {torch.float32}
    assert estimate.objective.dtype == torch.float32
    estimate.objective.mean().backward()
    assert encoder.weight.grad.abs().max() > 0


def test_what_a_baseline_learns_is_float32():
    baseline = Learned(hidden_sizes=(4,))
    context = torch.ones(5, 2, dtype=torch.bfloat16)
    q = bernoulli(torch.zeros(5, 3, requires_grad=True))
    estimator: GradientEstimator = ScoreFunction(baseline=baseline)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        estimate = estimator(Expectation(q=q, f=Network(3, with_log_q=False), context=context))
    seen = []
    baseline.network.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        estimator(Expectation(q=q, f=Network(3, with_log_q=False), context=context))
    assert seen == [torch.float32]
    estimate.control_loss.backward()
    assert all(parameter.grad is not None for parameter in baseline.parameters())
