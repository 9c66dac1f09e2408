"""Validation and test: hard samples of q for every model, the same noise in every run, nothing of training touched."""

import pytest
import torch
from tests.models.small import bits, fit, gaussian, seeded, trainer, validated

from reparam_suite.data import Digits

NAMES = {"elbo", "reconstruction", "kl"}


def test_a_run_with_validation_is_bitwise_the_run_without():
    ends = []
    for options in ({"val_check_interval": 1}, {"limit_val_batches": 0}):
        model = gaussian(event_shape=(64,))
        fit(model, Digits(batch_size=300), max_steps=7, **options)
        ends.append(model.state_dict())
    for name, value in ends[0].items():
        assert torch.equal(value, ends[1][name]), name


def test_lightning_gives_the_same_numbers_for_validation_and_for_the_test():
    model, data = gaussian(event_shape=(64,)), Digits()
    with seeded():
        used = trainer()
        used.validate(model, data, verbose=False)
        logged = {name: value.item() for name, value in used.callback_metrics.items()}
        used.test(model, data, verbose=False)
        tested = {name: value.item() for name, value in used.callback_metrics.items()}
    assert logged == pytest.approx(validated(model, data.val_dataloader()), rel=1e-6)
    assert set(tested) == {f"test/{name}" for name in NAMES} | {"test/bound_100"}
    assert tested["test/bound_100"] > tested["test/elbo"]
    assert tested["test/elbo"] != logged["val/elbo"]


def test_a_model_trains_after_it_was_validated():
    model, data = gaussian(event_shape=(64,)), Digits(batch_size=300)
    with seeded():
        used = trainer(max_steps=5)
        used.validate(model, data, verbose=False)
        used.fit(model, data)
    assert used.global_step == 5


def test_centring_takes_the_mean_of_the_training_data_once():
    model, data = gaussian(event_shape=(64,), centre_input=True), Digits(batch_size=300)
    fit(model, data, max_steps=2)
    centred, network = model.posterior.network
    assert torch.equal(centred.mean, data.train_mean)
    x = bits(5, 64)
    assert torch.equal(model.posterior(x).mean, network(x - data.train_mean)[:, :3])


def test_without_centring_the_encoder_sees_the_data():
    model, data = gaussian(event_shape=(64,)), Digits(batch_size=300)
    fit(model, data, max_steps=2)
    x = bits(5, 64)
    assert torch.equal(model.posterior(x).mean, model.posterior.network(x)[:, :3])
