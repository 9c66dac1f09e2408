"""ARM and DisARM: DisARM is the mean of ARM given its pair; variance in closed form."""

import pytest
import torch
from tests.estimators.draws import (
    estimated,
    f_of_bits,
    logits_and_noise,
    name_of,
    replicate,
    with_noise,
)

from reparam_suite.distributions import bernoulli
from reparam_suite.estimators import (
    ARM,
    DisARM,
)
from reparam_suite.problems import GaussianModel


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


def closed_forms():
    # Second moments for one bit and f(1) - f(0) = 1; the mean is p (1 - p), and m = min(p, 1 - p).
    for p in (0.03, 0.3, 0.9):
        m = min(p, 1 - p)
        # The pair differs where u < m or u > 1 - m, and then ARM is u - 1/2 up to sign.
        yield ARM(), p, 2 / 3 * (0.5**3 - (0.5 - m) ** 3), 1
        # The pair differs with probability 2 m, and then DisARM is (1 - m) / 2 up to sign.
        for num_pairs in (1, 3):
            yield DisARM(num_samples=2 * num_pairs), p, 2 * m * ((1 - m) / 2) ** 2, num_pairs


@pytest.mark.parametrize(("estimator", "p", "second_moment", "num_groups"), list(closed_forms()), ids=name_of)
def test_variance_is_that_of_theory(estimator, p, second_moment, num_groups):
    logits = torch.tensor([p], dtype=torch.float64).logit()
    _, drawn = replicate(estimator, bernoulli, logits, lambda z: 1.7 * z[..., 0] + 5.0, 400_000)
    expected = 1.7**2 * (second_moment - (p * (1 - p)) ** 2) / num_groups
    assert drawn.var().item() == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("estimator", [ARM(), DisARM()], ids=name_of)
def test_a_constant_has_no_gradient_in_bits(estimator):
    logits, _ = logits_and_noise(1)
    _, gradient = estimated(estimator, bernoulli, logits, lambda z: 0.0 * z.sum(-1) + 3.7)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-14)


def test_a_fair_bit_gives_disarm_no_variance():
    _, drawn = replicate(DisARM(), bernoulli, torch.zeros(1, dtype=torch.float64), lambda z: 2.0 * z[..., 0], 1000)
    torch.testing.assert_close(drawn, torch.full_like(drawn, 0.5), rtol=0, atol=1e-15)


@pytest.mark.parametrize("cls", [ARM, DisARM])
def test_an_odd_number_of_samples_is_refused(cls):
    message = f"num_samples of {cls.__name__}: expected an even number, for its samples come in pairs, got 3"
    with pytest.raises(ValueError, match=message):
        cls(num_samples=3)
    with pytest.raises(ValueError, match=f"num_samples of {cls.__name__}: expected an integer of at least 2, got 0"):
        cls(num_samples=0)


def test_what_does_not_fit_is_refused_by_name():
    gaussian = GaussianModel()
    with pytest.raises(ValueError, match=r"DisARM: expected a q of independent bits, .*, got Normal"):
        DisARM()(gaussian.expectation(gaussian.phi, gaussian.theta))
