"""Baselines: what they remember, that it never leaks into the sample at hand, and what theory says of each."""

import functools

import pytest
import torch
from tests.statistics import LIMIT, NUM_REPLICATES, SEED, Draws

from reparam_suite.distributions import bernoulli, normal, support_of
from reparam_suite.estimators import (
    OVIS,
    Average,
    Baseline,
    Expectation,
    Learned,
    LeaveOneOut,
    LogMeanExp,
    MovingAverage,
    MuProp,
    NoBaseline,
    OptimalConstant,
    ScoreFunction,
    VarianceNormalized,
)
from reparam_suite.problems import BernoulliModel, GaussianModel, ToyGaussian


def draws(samples):
    return Draws(samples.mean(0), samples.std(0) / len(samples) ** 0.5)


def fixed(estimator, z):
    """The estimator at given samples."""
    estimator.draw = lambda q: z
    return estimator


# ------------------------------------------------------------------------------ independent chains, one datum at a time


class LearnsFirst(Baseline):
    """The mistake that the tests below must see: what it remembers already holds the sample at hand."""

    def __init__(self, baseline):
        super().__init__()
        self.baseline = baseline

    def forward(self, z, f, target):
        self.baseline(z, f, target)
        self.baseline.eval()
        credit = self.baseline(z, f, target)
        self.baseline.train()
        return credit


def last_gradients(baseline, problem, num_steps):
    """Gradients of phi `[N, P]` of N chains of one datum at their last step, and each chain's state before it."""
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        estimator = ScoreFunction(baseline=baseline).double()
        state = {
            name: buffer.expand(NUM_REPLICATES, *buffer.shape).clone() for name, buffer in estimator.named_buffers()
        }
        phi = problem.phi.expand(NUM_REPLICATES, 1, -1).clone().requires_grad_()
        theta = problem.theta.expand(NUM_REPLICATES, 1, -1)

        def step(state, phi, theta):
            estimate = torch.func.functional_call(estimator, state, (problem.expectation(phi, theta),))
            return estimate.objective, state  # functional_call has put the new buffers there

        chains = torch.func.vmap(step, randomness="different")
        with torch.no_grad():
            for _ in range(num_steps - 1):
                _, state = chains(state, phi, theta)
        objective, after = chains(state, phi, theta)
        assert all(not torch.equal(state[name], tensor) for name, tensor in after.items())
        (gradient,) = torch.autograd.grad(objective.sum(), phi)
    return gradient.squeeze(1), state


@functools.cache
def exact_by_phi(problem):
    return problem.exact_gradient()[: len(problem.phi)]


PROBLEMS = [BernoulliModel(), ToyGaussian()]


@pytest.mark.parametrize("num_steps", [1, 2, 4])
@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
@pytest.mark.parametrize("make", [MovingAverage, OptimalConstant])
def test_what_is_remembered_does_not_bias_a_single_datum(make, problem, num_steps):
    gradient, _ = last_gradients(make(decay=0.3), problem, num_steps)
    assert draws(gradient).z_scores(exact_by_phi(problem)).max() < LIMIT


@pytest.mark.parametrize("num_steps", [1, 2, 4])
@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
@pytest.mark.parametrize("make", [MovingAverage, OptimalConstant])
def test_a_baseline_that_learns_first_would_be_seen(make, problem, num_steps):
    gradient, _ = last_gradients(LearnsFirst(make(decay=0.3)), problem, num_steps)
    assert draws(gradient).z_scores(exact_by_phi(problem)).max() > LIMIT


def deviation(state, prefix):
    mean, square = (state[f"{prefix}.past.average"] / state[f"{prefix}.past.weight"].unsqueeze(-1)).unbind(-1)
    return (square - mean.square()).clamp_min(1.0).sqrt()


@pytest.mark.parametrize("inner", [NoBaseline, functools.partial(MovingAverage, decay=0.3)], ids=["bare", "centred"])
def test_variance_normalisation_divides_by_the_past_alone(inner):
    problem = ToyGaussian()  # its signals vary by more than 1
    gradient, state = last_gradients(VarianceNormalized(baseline=inner(), decay=0.3), problem, 4)
    scale = deviation(state, "baseline").unsqueeze(-1)
    assert (scale > 1.5).double().mean() > 0.5
    assert draws(gradient).z_scores(exact_by_phi(problem)).max() > LIMIT
    assert draws(gradient * scale).z_scores(exact_by_phi(problem)).max() < LIMIT


def test_variance_normalisation_that_learns_first_would_be_seen():
    problem = ToyGaussian()
    gradient, state = last_gradients(LearnsFirst(VarianceNormalized(baseline=NoBaseline(), decay=0.3)), problem, 4)
    scale = deviation(state, "baseline.baseline").unsqueeze(-1)
    assert draws(gradient * scale).z_scores(exact_by_phi(problem)).max() > LIMIT


# --------------------------------------------------------------------------------------------- what theory says of each


def gradients_of_toy(baseline, num_samples=1, steps=1):
    problem = ToyGaussian()
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        estimator = ScoreFunction(num_samples=num_samples, baseline=baseline).double()
        phi = problem.phi.expand(400_000, -1).clone().requires_grad_()
        target = problem.expectation(phi, problem.theta.expand(400_000, -1))
        for _ in range(steps):
            (gradient,) = torch.autograd.grad(estimator(target).objective.sum(), phi)
    return gradient


def test_variance_of_the_bare_score_function():
    assert gradients_of_toy(NoBaseline()).var().item() == pytest.approx(
        ToyGaussian().variance_of_score_function(), rel=0.05
    )


def test_optimal_constant_is_the_ratio_of_moments():
    # With e = z - m: |s|^2 = e^2 + (e^2 - 1)^2 has mean 3, and E[z^2 |s|^2] = (m^2 + 3) + (2 m^2 + 10) at scale 1.
    baseline = OptimalConstant()
    gradients_of_toy(baseline)
    weighted, total = (baseline.past.average / baseline.past.weight).tolist()
    assert total == pytest.approx(3.0, rel=0.02)
    assert weighted / total == pytest.approx((3.0 * 2.0**2 + 13.0) / 3.0, rel=0.02)


def test_optimal_constant_lowers_the_variance_to_the_closed_form():
    # By the mean alone, (z^2 - b) e with e = z - m has variance m^4 + 14 m^2 + 15 - 2 b (m^2 + 3) + b^2.
    best = (3.0 * 2.0**2 + 13.0) / 3.0
    expected = ToyGaussian().variance_of_score_function() - 2.0 * best * (2.0**2 + 3.0) + best**2
    assert gradients_of_toy(OptimalConstant(), steps=2).var().item() == pytest.approx(expected, rel=0.05)


def test_leave_one_out_of_two_is_the_product_of_differences():
    z = normal(torch.randn(6, 2, dtype=torch.float64), torch.ones(6, 2, dtype=torch.float64)).sample((2,))
    problem = GaussianModel()
    phi = problem.phi.expand(6, -1).clone().requires_grad_()
    target = problem.expectation(phi, problem.theta.expand(6, -1))
    objective = fixed(ScoreFunction(num_samples=2, baseline=LeaveOneOut()), z)(target).objective
    f, log_q = target.values(z), target.q.log_prob(z)
    expected = (f[0] - f[1]).detach() * (log_q[0] - log_q[1]) / 2.0
    ours, theirs = (torch.autograd.grad(value.sum(), phi, retain_graph=True)[0] for value in (objective, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("bound", [Average(), LogMeanExp()], ids=lambda bound: type(bound).__name__)
def test_leave_one_out_has_no_noise_on_a_constant(bound):
    phi = GaussianModel().phi.expand(5, -1).clone().requires_grad_()
    q = GaussianModel().q(phi)
    estimator = ScoreFunction(num_samples=3, baseline=LeaveOneOut())
    objective = estimator(Expectation(q=q, f=lambda z, _: 1.7 + 0.0 * z[..., 0].detach(), bound=bound)).objective
    assert torch.autograd.grad(objective.sum(), phi)[0].abs().max() < 1e-12


def ovis(f):
    target = Expectation(q=bernoulli(f), f=lambda z, q: f, bound=LogMeanExp())
    return OVIS()(f, f, target)[0]


def exact_score_term(credit, num_samples):
    """sum over K-tuples of q(z) sum_k credit_k grad log q(z_k), plus what the bound's own gradient gives."""
    problem = BernoulliModel(bound=LogMeanExp(), num_samples=num_samples)
    phi = problem.phi.requires_grad_()
    target = problem.expectation(phi, problem.theta)
    z = support_of(target.q)
    tuples = torch.cartesian_prod(*[torch.arange(len(z))] * num_samples).T
    log_q, f = target.q.log_prob(z)[tuples], target.values(z)[tuples]
    weight = log_q.sum(0).exp().detach()
    surrogate = target.bound.value(f) + (credit(f.detach()) * log_q).sum(0)
    return torch.autograd.grad((weight * surrogate).sum(), phi)[0], exact_by_phi(problem)


def test_ovis_is_exactly_unbiased():
    ours, exact = exact_score_term(ovis, 3)
    torch.testing.assert_close(ours, exact, rtol=1e-10, atol=1e-12)


def test_ovis_with_gamma_of_one_would_be_biased():
    ours, exact = exact_score_term(lambda f: ovis(f) + f.softmax(0), 3)
    assert (ours - exact).abs().max() > 0.1 * exact.abs().max()


def test_ovis_leaves_a_second_order_term():
    f = torch.randn(5, 7, dtype=torch.float64)
    v = f.softmax(0)
    torch.testing.assert_close(ovis(f) - v, -torch.log1p(-v) - v, rtol=1e-10, atol=1e-12)


def test_ovis_is_stable_where_one_weight_is_all():
    f = torch.tensor([[300.0], [0.0], [-300.0]])
    torch.testing.assert_close(ovis(f), torch.tensor([[300.0], [0.0], [0.0]]))


def test_two_baselines_share_no_state():
    for make in (MovingAverage, OptimalConstant, VarianceNormalized):
        first, second = make(), make()
        ours, theirs = ({id(module) for module in one.modules()} for one in (first, second))
        stateful = {id(module) for one in (first, second) for module in one.modules() if list(module.buffers())}
        assert stateful
        assert not (ours & theirs & stateful)


def test_past_is_not_moved_by_measuring():
    baseline = MovingAverage().eval()
    f = torch.full((2, 3), 7.0)
    baseline(f, f, Expectation(q=bernoulli(torch.zeros(3, 1)), f=lambda z, q: z.sum(-1)))
    assert baseline.past.weight == 0.0
    baseline.train()(f, f, Expectation(q=bernoulli(torch.zeros(3, 1)), f=lambda z, q: z.sum(-1)))
    assert baseline.past.average / baseline.past.weight == 7.0


# ------------------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize("make", [MovingAverage, OptimalConstant, VarianceNormalized])
@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_decay_outside_its_range_is_refused(make, decay):
    with pytest.raises(
        ValueError, match=f"decay of {make.__name__}: expected a finite number of at least 0 and below 1, got {decay}"
    ):
        make(decay=decay)


@pytest.mark.parametrize("baseline", [OVIS(), LeaveOneOut(), VarianceNormalized(baseline=OVIS())], ids=str)
def test_too_few_samples_are_refused(baseline):
    name = type(baseline).__name__
    with pytest.raises(
        ValueError, match=f"num_samples of ScoreFunction with baseline {name}: expected at least 2, got 1"
    ):
        ScoreFunction(baseline=baseline)


def test_ovis_is_refused_on_the_average():
    problem = BernoulliModel()
    with pytest.raises(ValueError, match="baseline OVIS: expected the bound LogMeanExp, got Average"):
        ScoreFunction(num_samples=2, baseline=OVIS())(problem.expectation(problem.phi, problem.theta))


def test_optimal_constant_is_refused_on_the_importance_weighted_bound():
    problem = BernoulliModel(bound=LogMeanExp())
    with pytest.raises(ValueError, match="baseline OptimalConstant: expected the bound Average, got LogMeanExp"):
        ScoreFunction(num_samples=2, baseline=OptimalConstant())(problem.expectation(problem.phi, problem.theta))


@pytest.mark.parametrize("make", [ScoreFunction, MuProp])
def test_a_learned_baseline_without_context_is_refused(make):
    problem = BernoulliModel()
    target = problem.expectation(problem.phi, problem.theta)
    with pytest.raises(ValueError, match="Learned: expected an Expectation with a context to predict from, got none"):
        make(baseline=Learned()).double()(Expectation(q=target.q, f=target.f, bound=Average()))


# ----------------------------------------------------------------------------------------------------- ------ stability


BASELINES = [NoBaseline, MovingAverage, OptimalConstant, LeaveOneOut, VarianceNormalized]


@pytest.mark.parametrize("make", [*BASELINES, OVIS])
def test_extreme_logits_in_single_precision(make):
    bound = LogMeanExp() if make is OVIS else Average()
    logits = 30.0 * torch.linspace(-1.0, 1.0, 2_000).expand(3, -1).clone().requires_grad_()
    target = Expectation(q=bernoulli(logits), f=lambda z, q: z.sum(-1) - q.log_prob(z), bound=bound)
    estimator = ScoreFunction(num_samples=64, baseline=make())
    for _ in range(2):
        objective = estimator(target).objective
    (gradient,) = torch.autograd.grad(objective.sum(), logits)
    assert torch.isfinite(objective).all()
    assert torch.isfinite(gradient).all()
    assert gradient.abs().max() > 0
