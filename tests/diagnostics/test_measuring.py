"""Measuring must not change the training by one bit."""

import random

import numpy as np
import pytest
import torch

from reparam_suite.diagnostics import gradient_bias, gradient_cost, gradient_statistics, grouped_sums
from reparam_suite.estimators import Learned, MovingAverage, ScoreFunction
from reparam_suite.models import VAE, DiscreteVAE, GaussianVAE


def models() -> list[VAE]:
    sizes = {"event_shape": (12,), "latent_size": 3, "hidden_sizes": (7,)}
    return [
        GaussianVAE(**sizes),
        DiscreteVAE(**sizes, estimator=ScoreFunction(baseline=MovingAverage())),
        DiscreteVAE(**sizes, prior="learned", estimator=ScoreFunction(num_samples=2, baseline=Learned())),
    ]


def train(index: int, *, measured: bool) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    torch.manual_seed(3)
    model = models()[index]
    optimizer = model.configure_optimizers()
    x = torch.rand(8, 12).round()
    for step in range(6):
        if measured:
            gradient_statistics(model, x[step % 3 :], num_repeats=4)
        optimizer.zero_grad()
        model.training_step(x, step)["loss"].backward()
        if measured:
            gradient_statistics(model, x[:5], num_repeats=5, per_element=True)
            grouped_sums(model, x, per_element=True)
            gradient_bias(model, x[:3])
            gradient_cost(model, x)
        optimizer.step()
    return model.state_dict(), torch.get_rng_state()


@pytest.mark.parametrize("index", range(3))
def test_parameters_buffers_and_random_state_are_bitwise_those_of_a_run_without_measuring(index):
    with torch.random.fork_rng():
        plain, plain_random = train(index, measured=False)
        measured, measured_random = train(index, measured=True)
    assert torch.equal(plain_random, measured_random)
    for name, value in plain.items():
        assert torch.equal(value, measured[name]), name


def test_a_model_that_draws_from_numpy_and_python_moves_neither():
    class Restless(GaussianVAE):
        def expectation(self, batch):
            random.random()
            np.random.rand()  # noqa: NPY002
            return super().expectation(batch)

    model = Restless(event_shape=(12,), latent_size=3, hidden_sizes=(7,))
    before = random.getstate(), np.random.get_state()[1:3]  # noqa: NPY002
    gradient_statistics(model, torch.rand(4, 12).round(), num_repeats=4)
    assert random.getstate() == before[0]
    key, position = np.random.get_state()[1:3]  # noqa: NPY002
    assert (key.tolist(), position) == (before[1][0].tolist(), before[1][1])


def test_modes_are_restored_module_by_module():
    model = GaussianVAE(event_shape=(12,), latent_size=3, hidden_sizes=(7,))
    model.likelihood.network.eval()
    before = {name: module.training for name, module in model.named_modules()}
    gradient_statistics(model, torch.rand(4, 12).round(), num_repeats=4)
    assert {name: module.training for name, module in model.named_modules()} == before


def test_too_few_repeats_are_refused():
    model = GaussianVAE(event_shape=(12,), latent_size=3, hidden_sizes=(7,))
    with pytest.raises(ValueError, match=r"num_repeats: expected at least 4, .* got 3"):
        gradient_statistics(model, torch.rand(4, 12).round(), num_repeats=3)


def test_keys_name_the_parts_and_the_variational_parameters():
    x = torch.rand(4, 12).round()
    gaussian, _, learned = models()
    assert list(gradient_statistics(gaussian, x, num_repeats=4)) == ["encoder", "decoder", "loc", "scale"]
    assert list(gradient_statistics(learned, x, num_repeats=4)) == ["encoder", "decoder", "prior", "logits"]
