"""ARSM: ARM where there are two classes; its chunks."""

import pytest
import torch
from tests.estimators.draws import (
    as_two_classes,
    estimated,
    f_of_bits,
    f_of_first_class,
    logits_and_noise,
    with_noise,
)
from tests.statistics import SEED

from reparam_suite.distributions import bernoulli, categorical
from reparam_suite.estimators import (
    ARM,
    ARSM,
)
from reparam_suite.problems import BernoulliModel


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


def test_an_empty_chunk_of_swaps_is_refused():
    with pytest.raises(ValueError, match="chunk_size of ARSM: expected an integer of at least 1, got 0"):
        ARSM(chunk_size=0)


def test_chunks_of_swaps_change_nothing():
    torch.manual_seed(SEED)
    logits = torch.randn(4, 3, 5, dtype=torch.float64)
    whole = ARSM(num_samples=2, chunk_size=10)
    noise = whole.draw(categorical(logits))
    f = lambda z: (z * torch.arange(15.0).reshape(3, 5)).sum((-2, -1)).sin()  # noqa: E731
    expected = estimated(with_noise(whole, noise), categorical, logits, f)
    pieces = with_noise(ARSM(num_samples=2, chunk_size=3), noise)
    torch.testing.assert_close(estimated(pieces, categorical, logits, f), expected, rtol=1e-12, atol=1e-14)


def test_a_constant_has_no_gradient_in_classes():
    logits, _ = logits_and_noise(1)
    logits = logits.reshape(10, 5, 7)
    _, gradient = estimated(ARSM(), categorical, logits, lambda z: 0.0 * z.sum((-2, -1)) + 3.7)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-14)


def test_what_does_not_fit_is_refused_by_name():
    bits = BernoulliModel()
    with pytest.raises(ValueError, match=r"ARSM: expected a q of independent one-hot latents, .*, got Bernoulli"):
        ARSM()(bits.expectation(bits.phi, bits.theta))
