"""Distinct states of all latents: their law, their weights, and what the two estimators become at the extremes."""

import itertools

import pytest
import torch
from tests.estimators.draws import with_noise
from tests.estimators.fixed_noise import assert_same, evaluate, on
from tests.statistics import LIMIT, SEED

from reparam_suite.estimators import Enumeration, Expectation, LeaveOneOut, ScoreFunction, SumAndSample, UnorderedSet
from reparam_suite.estimators.without_replacement import most_probable
from reparam_suite.problems import BernoulliCurved, BernoulliModel, CategoricalCurved, CategoricalModel
from reparam_suite.distributions import bernoulli, categorical

PROBLEMS = [BernoulliCurved(), BernoulliModel(), CategoricalCurved(), CategoricalModel()]
LOGITS = torch.tensor([[0.7, -0.5, 0.1], [-0.9, 0.2, 1.1]], dtype=torch.float64)


def all_states(log_p):
    """Every state [S, D], and its log-probability [*B, S]."""
    num_latents, num_values = log_p.shape[-2:]
    states = torch.tensor(list(itertools.product(range(num_values), repeat=num_latents)))
    return states, sum(log_p[..., d, :][..., states[:, d]] for d in range(num_latents))


# ------------------------------------------------------------------------------------------------ the states themselves


@pytest.mark.parametrize(("num_latents", "num_values"), [(1, 5), (3, 2), (2, 3), (5, 3), (7, 2)])
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_the_most_probable_states_are_those_of_a_full_search(num_latents, num_values, scale):
    log_p = (scale * torch.randn(2, 20, num_latents, num_values, dtype=torch.float64)).log_softmax(-1)
    states, log_q = all_states(log_p)
    for num_states in sorted({1, 2, 3, 7, len(states)} - set(range(len(states) + 1, 9))):
        found = most_probable(log_p, num_states)
        assert torch.equal(found, states[log_q.topk(num_states, -1).indices].movedim(-2, 0))


def test_states_come_in_the_law_of_sampling_without_replacement():
    num_replicates, num_states = 400_000, 9
    q = categorical(LOGITS.expand(num_replicates, 2, 3))
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        values, _ = UnorderedSet(num_samples=3).draw(q)
    first, second, third = values @ torch.tensor([3, 1])  # each state by its number
    counts = torch.bincount((first * num_states + second) * num_states + third, minlength=num_states**3)
    _, log_q = all_states(LOGITS.log_softmax(-1))
    p = log_q.exp()
    for i, j, k in itertools.product(range(num_states), repeat=3):
        share = counts[(i * num_states + j) * num_states + k] / num_replicates
        exact = p[i] * p[j] / (1 - p[i]) * p[k] / (1 - p[i] - p[j]) if len({i, j, k}) == 3 else torch.zeros(())
        assert (share - exact).abs() <= LIMIT * (exact / num_replicates).sqrt()


@pytest.mark.parametrize("make", [lambda: UnorderedSet(num_samples=5), lambda: SumAndSample(num_summed=5)])
@pytest.mark.parametrize("scale", [1.0, 15.0])
def test_the_mass_of_the_rest_is_that_of_the_states_left(make, scale):
    q = categorical(scale * torch.randn(50, 3, 3, dtype=torch.float64))
    values, log_rest = make().draw(q)
    states, log_q = all_states(q.base_dist.logits)
    taken = (values[:5].unsqueeze(-2) == states).all(-1).any(0)  # [B, S]
    assert torch.equal(taken.sum(-1), torch.full((50,), 5))
    torch.testing.assert_close(log_rest, log_q.masked_fill(taken, -torch.inf).logsumexp(-1), rtol=1e-10, atol=1e-10)


def test_samples_outside_the_summed_states_follow_q_given_that():
    num_replicates = 400_000
    q = categorical(LOGITS.expand(num_replicates, 2, 3))
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        values, log_rest = SumAndSample(num_samples=2, num_summed=3).draw(q)
    _, log_q = all_states(LOGITS.log_softmax(-1))
    exact = log_q.exp().index_fill(0, log_q.topk(3).indices, 0.0)
    torch.testing.assert_close(log_rest[0].exp(), exact.sum())
    exact = exact / exact.sum()
    for sample in values[3:]:
        share = torch.bincount(sample @ torch.tensor([3, 1]), minlength=9) / num_replicates
        assert ((share - exact).abs() <= LIMIT * (exact / num_replicates).sqrt()).all()


# ---------------------------------------------------------------------------------------------------------- the weights


P = torch.tensor([0.3, 0.02, 0.11, 0.4], dtype=torch.float64)


def first_of_a_set(excluded=None):
    """How probable each of four states is to have come first, given that these four came, by all orders of them."""
    states = [i for i in range(len(P)) if i != excluded]
    everything = 1.0 if excluded is None else 1.0 - P[excluded]
    first = torch.zeros_like(P)
    for order in itertools.permutations(states):
        probability, left = torch.ones(()), everything
        for i in order:
            probability, left = probability * P[i] / left, left - P[i]
        first[order[0]] += probability
    return first / first.sum()


def test_weights_are_those_of_a_sum_over_all_orders():
    # One latent, whose other three values share what is left of the probability.
    rest = 1.0 - P.sum()
    log_p = torch.cat([P, (rest / 3.0).expand(3)]).log()
    estimator = with_noise(UnorderedSet(), (torch.arange(4).reshape(4, 1, 1), rest.log().reshape(1)))
    logits = log_p.reshape(1, 1, -1).requires_grad_()
    f = torch.tensor([1.3, -0.4, 0.7, 2.2], dtype=torch.float64)
    objective = estimator(Expectation(q=categorical(logits), f=lambda z, _: (z[..., 0, :4] * f).sum(-1))).objective
    weight = first_of_a_set()
    torch.testing.assert_close(objective, (weight * f).sum().reshape(1), rtol=1e-8, atol=1e-9)
    (gradient,) = torch.autograd.grad(objective.sum(), logits)
    baseline = torch.stack([P[s] * f[s] + (1.0 - P[s]) * (first_of_a_set(s) * f).sum() for s in range(4)])
    credit = torch.cat([weight * (f - baseline), torch.zeros(3)])
    torch.testing.assert_close(gradient.flatten(), credit - credit.sum() * log_p.exp(), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("make", [lambda n: UnorderedSet(num_samples=n), lambda n: SumAndSample(num_summed=n)])
@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
def test_with_every_state_both_are_enumeration(make, problem):
    num_states = Enumeration().evaluations(problem.q(problem.phi))
    assert_same(on(make(num_states), problem), on(Enumeration(), problem))


@pytest.mark.parametrize("make", [lambda: UnorderedSet(num_samples=9), lambda: SumAndSample(num_summed=9)])
def test_with_every_state_both_are_enumeration_at_extreme_logits(make):
    phi = 30.0 * torch.tensor([[[1.0, -1.0, 0.3], [-0.2, 0.1, -1.0]]], dtype=torch.float64)
    theta = torch.tensor([[[0.4, -1.2, 0.8], [0.3, 0.9, -0.5]]], dtype=torch.float64)

    def expectation(phi, theta):
        return Expectation(q=categorical(phi), f=lambda z, _: (z * theta).sum((-2, -1)).exp())

    assert_same(evaluate(make(), expectation, phi, theta), evaluate(Enumeration(), expectation, phi, theta), 1e-10)


@pytest.mark.parametrize("num_samples", [2, 5, 64])
def test_in_a_vast_space_the_set_is_leave_one_out(num_samples):
    phi = torch.linspace(-1.5, 2.0, 300, dtype=torch.float64).expand(4, -1)
    theta = torch.linspace(-1.0, 1.0, 300, dtype=torch.float64).cos().expand(4, -1)

    def expectation(phi, theta):
        return Expectation(q=bernoulli(phi), f=lambda z, _: (z * theta).sum(-1).square())

    values, log_rest = UnorderedSet(num_samples=num_samples).draw(bernoulli(phi))
    ours = with_noise(UnorderedSet(num_samples=num_samples), (values, log_rest))
    theirs = with_noise(ScoreFunction(num_samples=num_samples, baseline=LeaveOneOut()), values.double())
    assert_same(evaluate(ours, expectation, phi, theta), evaluate(theirs, expectation, phi, theta), rtol=1e-7)


ESTIMATORS = {
    "set of 2": lambda: UnorderedSet(num_samples=2),
    "set of 4": lambda: UnorderedSet(),
    "1 of the rest": lambda: SumAndSample(),
    "3 of the rest": lambda: SumAndSample(num_samples=3, num_summed=2),
}


@pytest.mark.parametrize("make", ESTIMATORS.values(), ids=ESTIMATORS)
def test_a_constant_f_makes_no_noise(make):
    logits = LOGITS.expand(200, -1, -1).clone().requires_grad_()
    objective = make()(Expectation(q=categorical(logits), f=lambda z, _: 700.0 + 0.0 * z.sum((-2, -1)))).objective
    torch.testing.assert_close(objective, torch.full_like(objective, 700.0), rtol=1e-12, atol=0.0)
    assert torch.autograd.grad(objective.sum(), logits)[0].abs().max() < 1e-9


@pytest.mark.parametrize("scale", [1.0, 30.0])
@pytest.mark.parametrize("make", ESTIMATORS.values(), ids=ESTIMATORS)
def test_states_are_never_enumerated(make, scale):
    # 10^2000 of them in single precision: each less probable than its smallest number, or most next to certain.
    logits = scale * torch.randn(3, 2_000, 10, generator=torch.Generator().manual_seed(0))
    logits.requires_grad_()
    objective = make()(Expectation(q=categorical(logits), f=lambda z, q: z[..., 0].sum(-1) - q.log_prob(z))).objective
    (gradient,) = torch.autograd.grad(objective.sum(), logits)
    assert torch.isfinite(objective).all()
    assert torch.isfinite(gradient).all()
    assert gradient.abs().max() > 0


# ------------------------------------------------------------------------------------------------------------ bad input


def test_more_states_than_there_are_are_refused():
    q = categorical(LOGITS)
    message = "expected at most the number of states, 9 for latents of shape 2x3, got 10"
    with pytest.raises(ValueError, match=f"UnorderedSet: num_samples: {message}"):
        UnorderedSet(num_samples=10)(Expectation(q=q, f=lambda z, _: z.sum((-2, -1))))
    with pytest.raises(ValueError, match=f"SumAndSample: num_summed: {message}"):
        SumAndSample(num_summed=10)(Expectation(q=q, f=lambda z, _: z.sum((-2, -1))))


def test_too_few_are_refused():
    with pytest.raises(ValueError, match="num_samples of UnorderedSet: expected an integer of at least 2, got 1"):
        UnorderedSet(num_samples=1)
    with pytest.raises(ValueError, match="num_summed of SumAndSample: expected an integer of at least 1, got 0"):
        SumAndSample(num_summed=0)
    with pytest.raises(ValueError, match="num_samples of SumAndSample: expected an integer of at least 1, got 0"):
        SumAndSample(num_samples=0)
