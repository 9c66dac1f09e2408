"""Estimators that change one latent: identities at the same noise, variances, memory, and bad input."""

import pytest
import torch
from tests.estimators.draws import replicate, with_noise
from tests.statistics import SEED

from reparam_suite.estimators import UGC, BitFlip, DisARM, Enumeration, Expectation, LocalExpectation
from reparam_suite.problems import BernoulliModel, CategoricalModel
from reparam_suite.distributions import bernoulli, categorical


def f_of_bits(z):
    weight = torch.linspace(-1.3, 0.9, z.shape[-1], dtype=z.dtype)
    return (z * weight).sum(-1).exp() + z[..., 0] * z[..., -1]


def estimated(estimator, family, phi, f):
    phi = phi.clone().requires_grad_()
    objective = estimator(Expectation(q=family(phi), f=lambda z, _: f(z))).objective
    return objective.detach(), torch.autograd.grad(objective.sum(), phi)[0]


def logits_and_noise(num_samples):
    torch.manual_seed(SEED)
    logits = 2.0 * torch.randn(40, 6, dtype=torch.float64)
    return logits, UGC(num_samples=2 * num_samples).draw(bernoulli(logits))


# ----------------------------------------------------------------------------------------- identities at the same noise


def test_ugc_without_rare_latents_is_disarm():
    logits, noise = logits_and_noise(3)
    ugc = estimated(with_noise(UGC(num_samples=6, threshold=0.0), noise), bernoulli, logits, f_of_bits)
    disarm = estimated(with_noise(DisARM(num_samples=6), noise[0]), bernoulli, logits, f_of_bits)
    torch.testing.assert_close(ugc, disarm, rtol=0, atol=0)


def test_ugc_with_rare_latents_only_is_bitflip():
    logits, noise = logits_and_noise(3)
    _, ugc = estimated(with_noise(UGC(num_samples=6, threshold=1.0), noise), bernoulli, logits, f_of_bits)
    _, bitflip = estimated(with_noise(BitFlip(num_samples=3), noise), bernoulli, logits, f_of_bits)
    torch.testing.assert_close(ugc, bitflip, rtol=1e-14, atol=0)


def test_ugc_splits_the_latents_at_its_threshold():
    logits, noise = logits_and_noise(1)
    is_rare = torch.minimum(logits.sigmoid(), (-logits).sigmoid()) < 1 / 12  # its default, 1 / (2 D)
    assert is_rare.any()
    assert not is_rare.all()
    _, ugc = estimated(with_noise(UGC(), noise), bernoulli, logits, f_of_bits)
    _, disarm = estimated(with_noise(DisARM(), noise[0]), bernoulli, logits, f_of_bits)
    torch.testing.assert_close(ugc[~is_rare], disarm[~is_rare], rtol=0, atol=0)
    assert ((ugc != 0) & is_rare).sum(-1).max() == 1


def test_bitflip_summed_over_its_choices_is_the_local_expectation():
    logits, (u, _) = logits_and_noise(1)
    z = (torch.logit(u) < logits).double()
    _, local = estimated(with_noise(LocalExpectation(), z), bernoulli, logits, f_of_bits)
    total = torch.zeros_like(logits)
    for latent in range(6):
        choice = torch.full((1, 40), (latent + 0.5) / 6, dtype=torch.float64)
        _, gradient = estimated(with_noise(BitFlip(), (u, choice)), bernoulli, logits, f_of_bits)
        assert (gradient != 0).nonzero()[:, 1].unique().tolist() == [latent]
        total += gradient / 6
    torch.testing.assert_close(total, local, rtol=1e-12, atol=1e-14)


def test_one_latent_leaves_the_local_expectation_nothing_to_sample():
    logits = torch.tensor([0.7, -1.1, 0.2, 2.0], dtype=torch.float64)
    f = lambda z: (z * torch.tensor([0.3, -2.0, 1.0, 0.5])).sum((-2, -1)).exp()  # noqa: E731
    _, exact = estimated(Enumeration(), categorical, logits.unsqueeze(0), f)
    _, local = estimated(LocalExpectation(num_samples=3), categorical, logits.unsqueeze(0), f)
    torch.testing.assert_close(local, exact, rtol=1e-12, atol=1e-14)


def test_two_classes_are_a_bit():
    logits, (u, _) = logits_and_noise(2)
    z = (torch.logit(u) < logits).double()
    value, by_logit = estimated(with_noise(LocalExpectation(num_samples=2), z), bernoulli, logits, f_of_bits)
    classes = with_noise(LocalExpectation(num_samples=2), torch.stack([z, 1.0 - z], -1))
    two_logits = torch.stack([logits + 0.3, torch.full_like(logits, 0.3)], -1)
    same, by_class = estimated(classes, categorical, two_logits, lambda z: f_of_bits(z[..., 0]))
    torch.testing.assert_close(same, value, rtol=1e-14, atol=0)
    torch.testing.assert_close(by_class, torch.stack([by_logit, -by_logit], -1), rtol=1e-12, atol=1e-14)


# ------------------------------------------------------------------------------------------------- variance, and memory


def test_a_sum_over_latents_has_no_variance():
    logits = torch.tensor([[0.8, -1.3, 0.1], [2.0, 0.4, -0.6]], dtype=torch.float64)
    table = torch.tensor([[1.0, -2.0, 0.3], [0.2, 0.9, -1.5]], dtype=torch.float64)
    pi = logits.softmax(-1)
    exact = pi * (table - (pi * table).sum(-1, keepdim=True))
    _, drawn = replicate(LocalExpectation(), categorical, logits, lambda z: (z * table).sum((-2, -1)), 1000)
    torch.testing.assert_close(drawn, exact.expand(1000, 2, 3), rtol=0, atol=1e-13)
    bits = logits[0]
    exact = bits.sigmoid() * (-bits).sigmoid() * table[0]
    _, drawn = replicate(LocalExpectation(), bernoulli, bits, lambda z: (z * table[0]).sum(-1), 1000)
    torch.testing.assert_close(drawn, exact.expand(1000, 3), rtol=0, atol=1e-13)


def test_variance_of_bitflip_on_a_sum_over_latents():
    # The estimate is D times the gradient with probability 1 / D, and else 0.
    logits = torch.tensor([0.8, -3.0, 6.0], dtype=torch.float64)
    weight = torch.tensor([1.0, -2.0, 0.3], dtype=torch.float64)
    gradient = weight * logits.sigmoid() * (-logits).sigmoid()
    _, drawn = replicate(BitFlip(), bernoulli, logits, lambda z: (z * weight).sum(-1), 400_000)
    torch.testing.assert_close(drawn.var(0), 2.0 * gradient.square(), rtol=0.05, atol=0)


def test_variance_of_ugc_on_a_sum_over_latents():
    # Two latents are rare and share one flip: twice the gradient or nothing. The first is DisARM's, with the square of
    # (w_1 + w_2 s_2 + w_3 s_3)^2 (1 - m)^2 / 4 when its bits differ, s the signs of the other bits' differences.
    logits = torch.tensor([0.8, -3.0, 6.0], dtype=torch.float64)
    weight = torch.tensor([1.0, -2.0, 0.3], dtype=torch.float64)
    gradient = weight * logits.sigmoid() * (-logits).sigmoid()
    m = (-logits.abs()).sigmoid()
    other_square = (2.0 * m[1:] * weight[1:].square()).sum()
    disarm = 2.0 * m[0] * ((1.0 - m[0]) / 2.0) ** 2 * (weight[0].square() + other_square) - gradient[0].square()
    expected = torch.stack([disarm, gradient[1].square(), gradient[2].square()])
    _, drawn = replicate(UGC(threshold=0.1), bernoulli, logits, lambda z: (z * weight).sum(-1), 400_000)
    torch.testing.assert_close(drawn.var(0), expected, rtol=0.05, atol=0)


@pytest.mark.parametrize(
    "estimator", [BitFlip(), UGC(threshold=0.1), LocalExpectation()], ids=lambda e: type(e).__name__
)
def test_a_constant_has_no_gradient(estimator):
    logits, _ = logits_and_noise(1)
    _, gradient = estimated(estimator, bernoulli, logits, lambda z: 0.0 * z.sum(-1) + 3.7)
    assert gradient.abs().max() == 0


@pytest.mark.parametrize("problem", [BernoulliModel(), CategoricalModel()], ids=str)
def test_chunks_change_nothing_but_the_rows_at_once(problem):
    torch.manual_seed(SEED)
    phi, theta = (
        problem.phi.expand(5, -1).clone().requires_grad_(),
        problem.theta.expand(5, -1).clone().requires_grad_(),
    )
    target = problem.expectation(phi, theta)
    z = LocalExpectation(num_samples=4).draw(target.q)
    results, rows = [], []
    for chunk_size in (1, 2, 32):
        handed = []

        def counting(z, q, handed=handed):
            handed.append(len(z))
            return target.f(z, q)

        estimator = with_noise(LocalExpectation(num_samples=4, chunk_size=chunk_size), z)
        objective = estimator(Expectation(q=target.q, f=counting)).objective
        results.append((objective.detach(), *torch.autograd.grad(objective.sum(), (phi, theta), retain_graph=True)))
        rows.append(max(handed))
    torch.testing.assert_close(results[0], results[1], rtol=1e-13, atol=1e-14)
    torch.testing.assert_close(results[0], results[2], rtol=1e-13, atol=1e-14)
    assert rows == [4, 8, 4 * problem.num_latents]


@pytest.mark.parametrize("estimator", [BitFlip(), UGC(), LocalExpectation()], ids=lambda e: type(e).__name__)
def test_only_samples_of_q_are_differentiated(estimator):
    problem = BernoulliModel()
    graphs = []

    def f(z, q):
        value = problem.integrand(problem.theta.requires_grad_())(z, q)
        graphs.append((len(z), value.requires_grad))
        return value

    estimator(Expectation(q=problem.q(problem.phi.expand(2, -1).clone().requires_grad_()), f=f))
    assert sum(rows for rows, recorded in graphs if recorded) == estimator.num_samples


# ------------------------------------------------------------------------------------------------------------ bad input


def test_bad_options_are_refused_by_name():
    with pytest.raises(
        ValueError, match="num_samples of UGC: expected an even number, for its samples come in pairs, got 5"
    ):
        UGC(num_samples=5)
    with pytest.raises(ValueError, match=r"threshold of UGC must lie in \[0, 1\] or be none, got -0.1"):
        UGC(threshold=-0.1)
    with pytest.raises(ValueError, match="num_samples of BitFlip: expected an integer of at least 1, got 0"):
        BitFlip(num_samples=0)
    with pytest.raises(ValueError, match="chunk_size of LocalExpectation: expected an integer of at least 1, got 0"):
        LocalExpectation(chunk_size=0)
