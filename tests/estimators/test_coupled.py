"""ARMS and CARMS: what each becomes in the smallest case, pair weights, variance."""

import pytest
import torch
from tests.estimators.draws import (
    as_two_classes,
    estimated,
    f_of_bits,
    f_of_first_class,
    logits_and_noise,
    name_of,
    replicate,
    with_noise,
)
from tests.statistics import LIMIT, SEED

from reparam_suite.distributions import bernoulli, categorical
from reparam_suite.estimators import (
    ARMS,
    CARMS,
    DirichletCopula,
    DisARM,
    GaussianCopula,
    LogMeanExp,
)
from reparam_suite.problems import BernoulliModel

COPULAS = [DirichletCopula(), GaussianCopula()]


@pytest.mark.parametrize("copula", COPULAS, ids=name_of)
def test_arms_of_two_samples_is_disarm(copula):
    logits, u = logits_and_noise(1)
    pair = torch.cat([u, 1.0 - u]).log()
    pair = torch.where(logits > 0, pair.flip(0), pair)  # ARMS draws the rarer value, DisARM draws 1
    arms = estimated(with_noise(ARMS(num_samples=2, copula=copula), pair), bernoulli, logits, f_of_bits)
    disarm = estimated(with_noise(DisARM(), u), bernoulli, logits, f_of_bits)
    torch.testing.assert_close(arms, disarm, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("copula", COPULAS, ids=name_of)
@pytest.mark.parametrize("num_samples", [2, 5])
def test_carms_of_two_classes_is_arms(copula, num_samples):
    logits, _ = logits_and_noise(1)
    log_u = copula.draw(num_samples, logits)
    arms, by_logit = estimated(
        with_noise(ARMS(num_samples=num_samples, copula=copula), log_u), bernoulli, logits, f_of_bits
    )
    carms = with_noise(CARMS(num_samples=num_samples, copula=copula), log_u.unsqueeze(-1))
    value, by_class = estimated(carms, categorical, as_two_classes(logits), f_of_first_class)
    torch.testing.assert_close(value, arms, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(by_class, torch.stack([by_logit, -by_logit], -1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("num_samples", [2, 6])
def test_carms_is_the_weighed_sum_over_pairs(num_samples):
    # Its sums over samples of a class against the double loop over samples that they replace.
    torch.manual_seed(SEED)
    logits = torch.randn(20, 3, 4, dtype=torch.float64)
    estimator = CARMS(num_samples=num_samples)
    seen = []

    def f(z):
        seen.append(z)
        return (z * torch.arange(12.0).reshape(3, 4)).sum((-2, -1)).cos()

    _, gradient = estimated(estimator, categorical, logits, f)
    (z,) = seen
    order = logits.argsort(-1)
    expected = torch.zeros_like(logits)
    for datum in range(20):
        for latent in range(3):
            p = logits[datum, latent].softmax(-1)[order[datum, latent]]
            m = p / p.flip(-1).cumsum(-1).flip(-1)
            overlap = estimator.copula.overlap(m.log(), num_samples)
            both_fail = 1.0 - 2.0 * m + m * overlap
            one_takes = m * (1.0 - overlap)
            for k in range(num_samples):
                for other in range(k):
                    a, b = (order[datum, latent].tolist().index(z[i, datum, latent].argmax()) for i in (k, other))
                    if a == b:
                        continue
                    joint = one_takes[min(a, b)] * both_fail[: min(a, b)].prod()
                    joint = joint * m[max(a, b)] * (1.0 - m[min(a, b) + 1 : max(a, b)]).prod()
                    difference = f(z[k])[datum] - f(z[other])[datum]
                    weight = p[a] * p[b] / joint
                    expected[datum, latent] += weight * difference * (z[k] - z[other])[datum, latent]
    expected /= num_samples * (num_samples - 1)
    torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("copula", COPULAS, ids=name_of)
@pytest.mark.parametrize("num_samples", [2, 3, 16])
def test_pair_weights_of_carms_are_bounded_for_any_logits(copula, num_samples):
    torch.manual_seed(SEED)
    spread = torch.tensor([0.0, 1.0, 10.0, 100.0]).reshape(-1, 1, 1)
    logits = spread * torch.randn(4, 200, 12)
    estimator = CARMS(num_samples=num_samples, copula=copula)
    f = torch.zeros(num_samples, 4, 200)
    f[0] = 1.0  # pairs with the first sample alone count, and each by its weight
    _, gradient = estimated(estimator, lambda phi: categorical(phi.unsqueeze(-2)), logits, lambda _: f)
    # The first sample's class gains sum_l weight_l of the K - 1 others: at most 2 (K - 1) of K (K - 1).
    largest = num_samples * gradient.max()
    assert 0.5 < largest <= 2.0


@pytest.mark.parametrize("copula", COPULAS, ids=name_of)
@pytest.mark.parametrize("num_samples", [2, 3])
def test_carms_is_exact_with_classes_of_very_unequal_odds(copula, num_samples):
    logits = torch.tensor([[0.0, -2.0, 0.3, -4.0, -1.0]], dtype=torch.float64)
    value = torch.tensor([1.0, -3.0, 2.5, 4.0, 0.3], dtype=torch.float64)
    p = logits[0].softmax(-1)
    exact = p * (value - (p * value).sum())
    estimator = CARMS(num_samples=num_samples, copula=copula)
    _, drawn = replicate(estimator, categorical, logits, lambda z: (z * value).sum((-2, -1)), 400_000)
    standard_error = drawn.std(0) / len(drawn) ** 0.5
    assert (standard_error < 0.02 * exact.abs()).all()
    assert ((drawn.mean(0) - exact).abs() / standard_error).max() < LIMIT


@pytest.mark.parametrize("cls", [ARMS, CARMS])
def test_a_single_sample_cannot_be_coupled(cls):
    with pytest.raises(ValueError, match=f"num_samples of {cls.__name__}: expected an integer of at least 2, got 1"):
        cls(num_samples=1)


def closed_forms():
    # Second moments for one bit and f(1) - f(0) = 1; the mean is p (1 - p), and m = p.
    for num_samples in (3, 4):
        # Below m = 2^(1 - K) at most one of the K uniforms of a Dirichlet copula is small. It is so with probability
        # K m, and then the estimate is (1 - m) / K.
        yield ARMS(num_samples=num_samples), 0.1, num_samples * 0.1 * (0.9 / num_samples) ** 2


@pytest.mark.parametrize(("estimator", "p", "second_moment"), list(closed_forms()), ids=name_of)
def test_variance_is_that_of_theory(estimator, p, second_moment):
    logits = torch.tensor([p], dtype=torch.float64).logit()
    _, drawn = replicate(estimator, bernoulli, logits, lambda z: 1.7 * z[..., 0] + 5.0, 400_000)
    expected = 1.7**2 * (second_moment - (p * (1 - p)) ** 2)
    assert drawn.var().item() == pytest.approx(expected, rel=0.05)


def test_a_constant_has_no_gradient_in_bits():
    logits, _ = logits_and_noise(1)
    _, gradient = estimated(ARMS(num_samples=4), bernoulli, logits, lambda z: 0.0 * z.sum(-1) + 3.7)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-14)


def test_a_constant_has_no_gradient_in_classes():
    logits, _ = logits_and_noise(1)
    logits = logits.reshape(10, 5, 7)
    _, gradient = estimated(CARMS(), categorical, logits, lambda z: 0.0 * z.sum((-2, -1)) + 3.7)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-14)


def test_what_does_not_fit_is_refused_by_name():
    bits = BernoulliModel(bound=LogMeanExp(), num_samples=2)
    with pytest.raises(ValueError, match="ARMS: expected the bound Average, got LogMeanExp"):
        ARMS()(bits.expectation(bits.phi, bits.theta))
