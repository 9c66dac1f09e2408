"""Means of the held-out bounds: hard samples of q for every model, the same noise in every run."""

import pytest
import torch
from tests.models.small import bits, categorical, discrete, gaussian, validated

from reparam_suite.data import Digits
from reparam_suite.estimators import GumbelSoftmax, LeaveOneOut, ScoreFunction
from reparam_suite.models import held_out_bounds
from reparam_suite.runtime.random_streams import forked_generator

NAMES = {"elbo", "reconstruction", "kl"}


@pytest.fixture(scope="module")
def digits():
    data = Digits()
    data.setup()
    return data


def test_the_numbers_are_those_of_hard_samples_whatever_the_estimator(digits):
    """One set of weights, four estimators: equal numbers, a relaxed one's among them."""
    estimators = [
        ScoreFunction(num_samples=2, baseline=LeaveOneOut()),
        ScoreFunction(num_samples=9),
        GumbelSoftmax(temperature=0.1),
        GumbelSoftmax(temperature=5.0),
    ]
    models = [discrete(event_shape=(64,), estimator=estimator) for estimator in estimators]
    found = [validated(model, digits.val_dataloader()) for model in models]
    assert set(found[0]) == {f"val/{name}" for name in NAMES} | {"val/bound_10"}
    assert all(metrics == found[0] for metrics in found)


@pytest.mark.parametrize("make", [gaussian, discrete, categorical])
def test_the_numbers_are_the_held_out_bounds(make, digits):
    model = make(event_shape=(64,))
    x = digits.sample_batch("valid")
    found = validated(model, [x])
    with forked_generator(x.device, 1_604_172):
        expected = held_out_bounds(model, x, 10)
    for name in NAMES:
        assert found[f"val/{name}"] == pytest.approx(expected[name].mean().item(), rel=1e-6)
    assert found["val/bound_10"] == pytest.approx(expected["bound"].mean().item(), rel=1e-6)
    assert found["val/bound_10"] > found["val/elbo"]


def test_rows_count_alike_in_batches_of_unequal_size():
    model, x = discrete(), bits(10, 12)
    whole = validated(model, [x])
    uneven = validated(model, [x[:7], x[7:]])
    # The closed form has no noise, and so shows the weights of the batches.
    assert uneven["val/kl"] == pytest.approx(whole["val/kl"], rel=1e-6)
    assert validated(model, [x[:7]])["val/kl"] != pytest.approx(whole["val/kl"], rel=1e-4)


def test_validating_leaves_the_random_state_and_the_mode_as_they_were(digits):
    model = discrete(event_shape=(64,))
    model.train()
    model.likelihood.network.eval()
    before = torch.get_rng_state()
    first = validated(model, digits.val_dataloader())
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training
    torch.manual_seed(99)
    assert validated(model, digits.val_dataloader()) == first, "its own noise, whatever the seed of the run"
