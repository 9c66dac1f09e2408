"""Antithetic estimators: what each becomes in the smallest case, its variance, and its couplings."""

import pytest
import torch
from tests.estimators.draws import replicate, with_noise
from tests.statistics import LIMIT, SEED

from reparam_suite.estimators import (
    ARM,
    ARMS,
    ARSM,
    CARMS,
    DirichletCopula,
    DisARM,
    Expectation,
    GaussianCopula,
    LogMeanExp,
)
from reparam_suite.estimators.base import uniform
from reparam_suite.problems import BernoulliModel, GaussianModel
from reparam_suite.distributions import bernoulli, categorical

COPULAS = [DirichletCopula(), GaussianCopula()]


def name_of(each):
    return type(each).__name__


def f_of_bits(z):
    weight = torch.linspace(-1.3, 0.9, z.shape[-1], dtype=z.dtype)
    return (z * weight).sum(-1).exp() + z[..., 0] * z[..., -1]


def f_of_first_class(z):
    return f_of_bits(z[..., 0])


def estimated(estimator, family, phi, f):
    phi = phi.clone().requires_grad_()
    objective = estimator(Expectation(q=family(phi), f=lambda z, _: f(z))).objective
    return objective.detach(), torch.autograd.grad(objective.sum(), phi)[0]


def logits_and_noise(num_noise):
    torch.manual_seed(SEED)
    logits = 3.0 * torch.randn(50, 7, dtype=torch.float64)
    return logits, uniform((num_noise, *logits.shape), logits)


def as_two_classes(logits):
    # Shifted, since a categorical does not see a constant.
    return torch.stack([logits + 0.3, torch.full_like(logits, 0.3)], -1)


# ----------------------------------------------------------------------------------------- identities at the same noise


@pytest.mark.parametrize("copula", COPULAS, ids=name_of)
def test_arms_of_two_samples_is_disarm(copula):
    logits, u = logits_and_noise(1)
    pair = torch.cat([u, 1.0 - u]).log()
    pair = torch.where(logits > 0, pair.flip(0), pair)  # ARMS draws the rarer value, DisARM draws 1
    arms = estimated(with_noise(ARMS(num_samples=2, copula=copula), pair), bernoulli, logits, f_of_bits)
    disarm = estimated(with_noise(DisARM(), u), bernoulli, logits, f_of_bits)
    torch.testing.assert_close(arms, disarm, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("copula", COPULAS, ids=name_of)
def test_two_coupled_uniforms_are_an_antithetic_pair(copula):
    u = copula.draw(2, torch.zeros(10_000, dtype=torch.float64)).exp()
    torch.testing.assert_close(u.sum(0), torch.ones(10_000, dtype=torch.float64), rtol=1e-12, atol=1e-12)


def test_arsm_of_two_classes_is_arm():
    logits, u = logits_and_noise(1)
    arm, by_logit = estimated(with_noise(ARM(), u), bernoulli, logits, f_of_bits)
    log_w = torch.stack([u, 1.0 - u], -1).log()
    arsm, by_class = estimated(with_noise(ARSM(), log_w), categorical, as_two_classes(logits), f_of_first_class)
    torch.testing.assert_close(by_class, torch.stack([by_logit, -by_logit], -1), rtol=1e-12, atol=1e-12)
    # Its value is that of the unswapped half of ARM's pair.
    first = f_of_bits((torch.logit(u) < logits).double())[0]
    torch.testing.assert_close(arsm, first, rtol=1e-12, atol=1e-12)
    assert not torch.allclose(arsm, arm)


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


@pytest.mark.parametrize("p", [0.3, 0.8])
def test_disarm_is_the_mean_of_arm_given_the_pair(p):
    # The midpoint rule is exact for ARM, which is linear in u between the places where a bit turns.
    u = ((torch.arange(1000, dtype=torch.float64) + 0.5) / 1000).reshape(1, 1000, 1)
    logits = torch.full((1000, 1), p, dtype=torch.float64).logit()
    _, arm = estimated(with_noise(ARM(), u), bernoulli, logits, f_of_bits)
    _, disarm = estimated(with_noise(DisARM(), u), bernoulli, logits, f_of_bits)
    pair = 2 * (u[0] < p) + (1 - u[0] < p)
    assert len(pair.unique()) == 3
    for outcome in pair.unique():
        of_pair = (pair == outcome).squeeze(-1)
        torch.testing.assert_close(arm[of_pair].mean(0), disarm[of_pair][0], rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(disarm[of_pair], disarm[of_pair][:1].expand(of_pair.sum(), 1))


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


# -------------------------------------------------------------------------------------------------------------- copulas


@pytest.mark.parametrize("copula", COPULAS, ids=name_of)
@pytest.mark.parametrize("num_samples", [2, 3, 8])
@pytest.mark.parametrize("m", [0.5, 0.45, 0.2, 0.1])
def test_copula_has_uniform_margins_and_the_stated_overlap(copula, num_samples, m):
    torch.manual_seed(SEED)
    m = torch.tensor(m, dtype=torch.float64)
    number = (copula.draw(num_samples, torch.zeros(400_000, dtype=torch.float64)) < m.log()).double().sum(0)
    single, both = number / num_samples, number * (number - 1) / (num_samples * (num_samples - 1))
    overlap = copula.overlap(m.log(), num_samples)
    assert 0.0 <= overlap < m
    for drawn, exact in ((single, m), (both, m * overlap)):
        standard_error = (drawn.std() / len(drawn) ** 0.5).clamp_min(1e-12)
        assert (drawn.mean() - exact).abs() / standard_error < LIMIT


@pytest.mark.parametrize("num_samples", [3, 4, 64])
def test_overlap_of_normals_is_the_integral_of_their_density(num_samples):
    # P(x < h, y < h) = int_0^m P(y < h | Phi(x) = u) du by the midpoint rule; given x, y is N(r x, 1 - r^2).
    m = torch.tensor([[0.5], [0.3], [1e-3]], dtype=torch.float64)
    h, r = torch.special.ndtri(m), -1.0 / (num_samples - 1)
    x = torch.special.ndtri(m * (torch.arange(100_000) + 0.5) / 100_000)
    overlap = torch.special.ndtr((h - r * x) / (1.0 - r**2) ** 0.5).mean(-1, keepdim=True)
    torch.testing.assert_close(GaussianCopula().overlap(m.log(), num_samples), overlap, rtol=1e-6, atol=0)


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


# ------------------------------------------------------------------------------------------------------------- variance


def closed_forms():
    # Second moments for one bit and f(1) - f(0) = 1; the mean is p (1 - p), and m = min(p, 1 - p).
    for p in (0.03, 0.3, 0.9):
        m = min(p, 1 - p)
        # The pair differs where u < m or u > 1 - m, and then ARM is u - 1/2 up to sign.
        yield ARM(), p, 2 / 3 * (0.5**3 - (0.5 - m) ** 3), 1
        # The pair differs with probability 2 m, and then DisARM is (1 - m) / 2 up to sign.
        for num_pairs in (1, 3):
            yield DisARM(num_samples=2 * num_pairs), p, 2 * m * ((1 - m) / 2) ** 2, num_pairs
    for num_samples in (3, 4):
        # Below m = 2^(1 - K) at most one of the K uniforms of a Dirichlet copula is small. It is so with probability
        # K m, and then the estimate is (1 - m) / K.
        yield ARMS(num_samples=num_samples), 0.1, num_samples * 0.1 * (0.9 / num_samples) ** 2, 1


@pytest.mark.parametrize(("estimator", "p", "second_moment", "num_groups"), list(closed_forms()), ids=name_of)
def test_variance_is_that_of_theory(estimator, p, second_moment, num_groups):
    logits = torch.tensor([p], dtype=torch.float64).logit()
    _, drawn = replicate(estimator, bernoulli, logits, lambda z: 1.7 * z[..., 0] + 5.0, 400_000)
    expected = 1.7**2 * (second_moment - (p * (1 - p)) ** 2) / num_groups
    assert drawn.var().item() == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("estimator", [ARM(), DisARM(), ARMS(num_samples=4)], ids=name_of)
def test_a_constant_has_no_gradient_in_bits(estimator):
    logits, _ = logits_and_noise(1)
    _, gradient = estimated(estimator, bernoulli, logits, lambda z: 0.0 * z.sum(-1) + 3.7)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-14)


@pytest.mark.parametrize("estimator", [ARSM(), CARMS()], ids=name_of)
def test_a_constant_has_no_gradient_in_classes(estimator):
    logits, _ = logits_and_noise(1)
    logits = logits.reshape(10, 5, 7)
    _, gradient = estimated(estimator, categorical, logits, lambda z: 0.0 * z.sum((-2, -1)) + 3.7)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-14)


def test_a_fair_bit_gives_disarm_no_variance():
    _, drawn = replicate(DisARM(), bernoulli, torch.zeros(1, dtype=torch.float64), lambda z: 2.0 * z[..., 0], 1000)
    torch.testing.assert_close(drawn, torch.full_like(drawn, 0.5), rtol=0, atol=1e-15)


# ------------------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize("cls", [ARM, DisARM])
def test_an_odd_number_of_samples_is_refused(cls):
    message = f"num_samples of {cls.__name__}: expected an even number, for its samples come in pairs, got 3"
    with pytest.raises(ValueError, match=message):
        cls(num_samples=3)
    with pytest.raises(ValueError, match=f"num_samples of {cls.__name__}: expected an integer of at least 2, got 0"):
        cls(num_samples=0)


@pytest.mark.parametrize("cls", [ARMS, CARMS])
def test_a_single_sample_cannot_be_coupled(cls):
    with pytest.raises(ValueError, match=f"num_samples of {cls.__name__}: expected an integer of at least 2, got 1"):
        cls(num_samples=1)


def test_an_empty_chunk_of_swaps_is_refused():
    with pytest.raises(ValueError, match="chunk_size of ARSM: expected an integer of at least 1, got 0"):
        ARSM(chunk_size=0)


def test_what_does_not_fit_is_refused_by_name():
    bits, gaussian = BernoulliModel(bound=LogMeanExp(), num_samples=2), GaussianModel()
    with pytest.raises(ValueError, match="ARSM: expected a q of independent one-hot latents, .*, got Bernoulli"):
        ARSM()(bits.expectation(bits.phi, bits.theta))
    with pytest.raises(ValueError, match="DisARM: expected a q of independent bits, .*, got Normal"):
        DisARM()(gaussian.expectation(gaussian.phi, gaussian.theta))
    with pytest.raises(ValueError, match="ARMS: expected the bound Average, got LogMeanExp"):
        ARMS()(bits.expectation(bits.phi, bits.theta))


def test_chunks_of_swaps_change_nothing():
    torch.manual_seed(SEED)
    logits = torch.randn(4, 3, 5, dtype=torch.float64)
    whole = ARSM(num_samples=2, chunk_size=10)
    noise = whole.draw(categorical(logits))
    f = lambda z: (z * torch.arange(15.0).reshape(3, 5)).sum((-2, -1)).sin()  # noqa: E731
    expected = estimated(with_noise(whole, noise), categorical, logits, f)
    pieces = with_noise(ARSM(num_samples=2, chunk_size=3), noise)
    torch.testing.assert_close(estimated(pieces, categorical, logits, f), expected, rtol=1e-12, atol=1e-14)
