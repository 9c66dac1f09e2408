"""Classes and values that are masked: the gradient is that of the latents without them, and 0 for the masked logit."""

import inspect
import itertools
import math
from copy import deepcopy
from dataclasses import dataclass

import pytest
import torch
from tests.statistics import LIMIT, NUM_REPLICATES, SEED
from torch import Tensor

import reparam_suite.estimators as library
from reparam_suite.distributions import bernoulli, categorical, frozen, kl_divergence, normal
from reparam_suite.estimators import (
    OVIS,
    Average,
    Enumeration,
    Expectation,
    GradientEstimator,
    LeaveOneOut,
    LogMeanExp,
    OptimalConstant,
    ScoreFunction,
)

THETA = torch.tensor([0.7, -0.4, 0.5], dtype=torch.float64)


def curved(z: Tensor, theta: Tensor) -> Tensor:
    """A coupled, curved function of the flattened latents."""
    slope = torch.linspace(-1.0, 1.3, z.shape[-1], dtype=z.dtype)
    return (theta[..., 0] * (slope * z).sum(-1)).exp() + theta[..., 1] * z[..., 0] * z[..., -1] + theta[..., 2]


@dataclass(frozen=True)
class Masked:
    """Logits of D latents, some minus or plus infinity."""

    name: str
    logits: list[list[float]]  # by class; two classes for a bit

    @property
    def are_bits(self) -> bool:
        return self.name.startswith("bits")

    def phi(self, mask: float = -math.inf) -> Tensor:
        by_class = torch.tensor(self.logits, dtype=torch.float64).clamp_min(mask)
        return by_class[:, 1] - by_class[:, 0] if self.are_bits else by_class

    def is_masked(self) -> Tensor:
        return ~self.phi().isfinite()

    def q(self, phi: Tensor):
        return bernoulli(phi) if self.are_bits else categorical(phi)

    def exact(self, bound, num_samples: int = 1) -> tuple[Tensor, Tensor, Tensor]:
        """Value, and gradient with respect to the logits and theta, summed over what is not masked, in a loop."""
        phi, theta = self.phi().requires_grad_(), THETA.clone().requires_grad_()
        states, log_q = [], []
        for classes in itertools.product(*(self._allowed(d) for d in range(len(phi)))):
            log_p = torch.zeros((), dtype=torch.float64)
            z = torch.zeros(phi.shape, dtype=torch.float64)
            for d, c in enumerate(classes):
                if self.are_bits:
                    z[d] = c
                    if len(self._allowed(d)) == 2:
                        log_p = log_p - torch.log1p((-(2 * c - 1) * phi[d]).exp())
                else:
                    z[d, c] = 1.0
                    log_p = log_p + phi[d, c] - phi[d, self._allowed(d)].exp().sum().log()
            states.append(curved(z.flatten(), theta) - log_p.detach())
            log_q.append(log_p)
        value = torch.zeros((), dtype=torch.float64)
        for indices in itertools.product(range(len(states)), repeat=num_samples):
            f = torch.stack([states[i] for i in indices])
            if not bound.score_vanishes:
                f = f + torch.stack([log_q[i].detach() - log_q[i] for i in indices])
            value = value + torch.stack([log_q[i] for i in indices]).sum().exp() * bound.value(f)
        gradients = torch.autograd.grad(value, (phi, theta))
        return value.detach(), gradients[0].nan_to_num(0.0), gradients[1]

    def _allowed(self, d: int) -> list[int]:
        return [c for c, logit in enumerate(self.logits[d]) if logit > -math.inf]


INF = math.inf
PROBLEMS = [
    Masked("one class of each latent", [[-INF, 0.3, 0.9], [0.2, -INF, -0.5]]),
    Masked("all but one class of a latent", [[-INF, 0.3, -INF], [0.2, -0.4, -0.5]]),
    Masked("bits, one of each sort", [[0.0, -INF], [0.0, 0.6], [-INF, 0.0], [0.3, 0.0]]),
]
MASKS = pytest.mark.parametrize("mask", [-INF, -1e30], ids=["infinite", "large"])
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])


def every_estimator() -> list[GradientEstimator]:
    """All estimators at their defaults, and the baselines that ask for more."""
    classes = [
        cls
        for cls in vars(library).values()
        if inspect.isclass(cls) and issubclass(cls, GradientEstimator) and not inspect.isabstract(cls)
    ]
    more = [
        Enumeration(num_samples=2),
        ScoreFunction(num_samples=2, baseline=LeaveOneOut()),
        ScoreFunction(num_samples=2, baseline=OptimalConstant()),
        ScoreFunction(num_samples=2, baseline=OVIS()),
    ]
    return [*(cls() for cls in classes), *more]


def name_of(estimator: GradientEstimator) -> str:
    baseline = getattr(estimator, "baseline", None)
    return "-".join([type(estimator).__name__, *([type(baseline).__name__] if baseline is not None else [])])


def drawn(estimator, problem, bound, mask, num_replicates, dtype=torch.float64):
    """Objectives `[N]` and gradients `[N, .]`, with f minus log q."""
    phi = problem.phi(mask).to(dtype)
    phi = phi.expand(num_replicates, *phi.shape).clone().requires_grad_()
    theta = THETA.to(dtype).expand(num_replicates, -1).clone().requires_grad_()
    estimator = deepcopy(estimator).to(dtype)  # a network takes the shape of the first latents that it sees
    event = 1 if problem.are_bits else 2

    def f(z, q):
        return curved(z.flatten(-event), theta) - q.log_prob(z)

    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        target = Expectation(q=problem.q(phi), f=f, bound=bound, context=torch.ones(num_replicates, 2, dtype=dtype))
        estimate = estimator(target)
    gradients = torch.autograd.grad(estimate.objective.sum(), (phi, theta), retain_graph=True)
    own = [parameter for parameter in estimator.parameters() if parameter.requires_grad]
    learned = torch.autograd.grad(estimate.control_loss, own) if own and estimate.control_loss.requires_grad else ()
    return estimate.objective.detach(), *gradients, learned


def fitting(problem, estimator):
    return estimator.fits(problem.q(problem.phi())) is None


@MASKS
@DTYPES
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_every_estimator_is_finite_and_gives_a_masked_logit_no_gradient(problem, dtype, mask):
    fitted = [estimator for estimator in every_estimator() if fitting(problem, estimator)]
    assert len(fitted) > 18
    for estimator in fitted:
        for bound in (bound() for bound in (Average, LogMeanExp)):
            supported = set(estimator.bounds) & set(getattr(estimator, "baseline", estimator).bounds)
            if type(bound) not in supported:
                continue
            objective, by_phi, by_theta, learned = drawn(estimator, problem, bound, mask, 50, dtype)
            for numbers in (objective, by_phi, by_theta, *learned):
                assert numbers.isfinite().all(), name_of(estimator)
            masked = problem.is_masked()
            assert masked.any()
            assert (by_phi[:, masked] == 0).all(), name_of(estimator)
            assert (by_theta != 0).any()


@pytest.mark.parametrize("estimator", [e for e in every_estimator() if e.unbiased], ids=name_of)
def test_unbiased_estimators_agree_with_the_sum_over_what_is_not_masked(estimator):
    checked = []
    for problem in PROBLEMS:
        if not fitting(problem, estimator):
            continue
        baseline = getattr(estimator, "baseline", estimator)
        bound = Average() if Average in baseline.bounds else LogMeanExp()
        num_samples = estimator.num_samples if isinstance(bound, LogMeanExp) else 1
        exact = problem.exact(bound, num_samples)
        *found, _ = drawn(estimator.eval(), problem, bound, -INF, NUM_REPLICATES)
        for numbers, expected in zip(found, exact, strict=True):
            error = numbers.std(0) / math.sqrt(len(numbers))
            z_score = (numbers.mean(0) - expected).abs() / error.clamp_min(1e-9)
            assert z_score.max() < LIMIT, f"{problem.name}: {z_score.max():.1f}"
            wrong = (numbers.mean(0) - 1.3 * expected).abs() / error.clamp_min(1e-9)
            assert wrong.max() > LIMIT, "an error of 30 % would not be seen"
        checked.append(problem)
    assert checked or estimator.fits(normal(THETA, THETA.exp())) is None


BIASED = [e for e in every_estimator() if not e.unbiased]


@pytest.mark.parametrize("estimator", BIASED, ids=name_of)
def test_biased_estimators_give_what_they_give_without_the_masked_classes(estimator):
    """In the mean; the masked class of each of the two latents is taken out."""
    whole = PROBLEMS[0]
    keep = [[1, 2], [0, 2]]
    phi = torch.stack([whole.phi()[d, classes] for d, classes in enumerate(keep)])
    phi = phi.expand(NUM_REPLICATES, 2, 2).clone().requires_grad_()
    theta = THETA.expand(NUM_REPLICATES, -1).clone().requires_grad_()
    place = torch.zeros(2, 2, 3, dtype=torch.float64)
    for d, classes in enumerate(keep):
        for c, where in enumerate(classes):
            place[d, c, where] = 1.0

    def f(z, q):
        return curved(torch.einsum("...dc,dcw->...dw", z, place).flatten(-2), theta) - q.log_prob(z)

    estimator = estimator.double().eval()
    with torch.random.fork_rng():
        torch.manual_seed(SEED + 1)
        objective = estimator(Expectation(q=categorical(phi), f=f)).objective
    by_phi, by_theta = torch.autograd.grad(objective.sum(), (phi, theta))
    found = drawn(estimator, whole, Average(), -INF, NUM_REPLICATES)
    kept = torch.stack([found[1][:, d, classes] for d, classes in enumerate(keep)], 1)
    for ours, theirs in ((found[0], objective.detach()), (kept, by_phi), (found[2], by_theta)):
        error = ((ours.var(0) + theirs.var(0)) / NUM_REPLICATES).sqrt()
        difference = (ours.mean(0) - theirs.mean(0)).abs()
        assert (difference / error.clamp_min(1e-9)).max() < LIMIT
        assert (0.05 * theirs.mean(0).abs() / error.clamp_min(1e-9)).max() > LIMIT, "5 % would not be seen"


@MASKS
@DTYPES
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_divergence_entropy_and_density_leave_masked_values_out(problem, dtype, mask):
    phi = problem.phi(mask).to(dtype).requires_grad_()
    q, p = problem.q(phi), problem.q(torch.zeros_like(problem.phi()).to(dtype))
    allowed = [problem._allowed(d) for d in range(len(phi))]
    log_q = [torch.tensor(problem.logits[d], dtype=torch.float64)[c].log_softmax(-1) for d, c in enumerate(allowed)]
    size = 2 if problem.are_bits else phi.shape[-1]
    entropy = -sum((log_probability.exp() * log_probability).sum() for log_probability in log_q)
    kl = kl_divergence(q, p)
    torch.testing.assert_close(kl.double(), len(phi) * math.log(size) - entropy, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(q.entropy().double(), entropy, rtol=1e-6, atol=1e-6)
    for number in (kl, q.entropy(), q.log_prob(q.sample()), frozen(q).log_prob(q.sample())):
        assert number.isfinite()
        if number.requires_grad:
            (gradient,) = torch.autograd.grad(number, phi, retain_graph=True)
            assert gradient.isfinite().all()
            assert (gradient[problem.is_masked()] == 0).all()


@MASKS
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_two_distributions_of_the_same_mask_diverge_by_nothing_and_a_wider_one_by_much(problem, mask):
    q = problem.q(problem.phi(mask))
    assert kl_divergence(q, problem.q(problem.phi(mask))).abs() < 1e-6
    assert kl_divergence(problem.q(torch.zeros_like(problem.phi())), q) > 1e14
