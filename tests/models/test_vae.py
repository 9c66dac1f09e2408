"""Validation and test: hard samples of q for every model, the same noise in every run, nothing of training touched."""

import math

import pytest
import torch
from tests.models.small import bits, categorical, discrete, fit, gaussian, seeded, trainer, validated
from tests.statistics import LIMIT

from reparam_suite.data import Digits
from reparam_suite.distributions import NormalLikelihood
from reparam_suite.estimators import GumbelSoftmax, LeaveOneOut, Pathwise, ScoreFunction
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
    assert all(each == found[0] for each in found)


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


# -------------------------------------------------------------------------------------------------------- exact numbers


def test_the_elbo_of_a_tiny_model_is_that_of_its_states():
    model, x = discrete().double(), bits(1, 12).double()
    z = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 3).unsqueeze(1)
    q, p = model.posterior(x), model.prior()
    log_q, log_joint = q.log_prob(z), model.log_likelihood(x, z) + p.log_prob(z)
    elbo = (log_q.exp() * (log_joint - log_q)).sum()
    evidence = log_joint.logsumexp(0)
    num_rows = 10_000
    with seeded():
        drawn = held_out_bounds(model, x.expand(num_rows, -1), 100)
    error = drawn["elbo"].std() / num_rows**0.5
    assert (drawn["elbo"].mean() - elbo).abs() < LIMIT * error
    assert (drawn["bound"].mean() - evidence).abs() < 0.05 * (evidence - elbo), "100 samples close the gap"
    assert drawn["bound"].mean() < evidence + LIMIT * drawn["bound"].std() / num_rows**0.5


def test_the_bound_of_a_linear_model_reaches_its_evidence():
    """No layer hidden and a Normal likelihood: p(x) is a normal in closed form."""
    model = gaussian(hidden_sizes=(), likelihood=NormalLikelihood(), event_shape=(4,), latent_size=2).double()
    torch.nn.init.constant_(
        model.posterior.network[0].bias[2:], 1.0
    )  # q wider than the posterior: the weights have no heavy tail
    layer = model.likelihood.network[0]
    noise = math.exp(2.0 * model.likelihood.family.log_scale.item())
    covariance = layer.weight @ layer.weight.T + noise * torch.eye(4, dtype=torch.float64)
    p = torch.distributions.MultivariateNormal(layer.bias, covariance)
    x = torch.tensor([[0.8, -0.3, 1.1, 0.2]], dtype=torch.float64)
    with seeded(), torch.no_grad():
        drawn = held_out_bounds(model, x.expand(2_000, -1), 500)
        evidence = p.log_prob(x)
    gap = evidence - drawn["elbo"].mean()
    assert gap > 0.05
    assert (drawn["bound"].mean() - evidence).abs() < 0.05 * gap


# -------------------------------------------------------------------------------------------- centring and real numbers


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


def test_real_numbers_train_and_the_scale_of_the_noise_is_learned(real_arrays):
    """x = a line in five dimensions plus noise of 0.1: the model must come near the noise."""
    model = gaussian(
        event_shape=(5,),
        likelihood=NormalLikelihood(),
        latent_size=1,
        hidden_sizes=(),
        learning_rate=0.02,
        estimator=Pathwise(num_samples=4),
    )
    before = validated(model, [real_arrays.sample_batch("valid")])["val/elbo"]
    used = fit(model, real_arrays, max_steps=600)
    after = {name: value.item() for name, value in used.callback_metrics.items()}
    assert model.likelihood.family.log_scale.exp().item() == pytest.approx(0.1, rel=0.15)
    assert after["val/elbo"] > before + 5.0
    # 5 (-log 0.1 - 1/2 log 2 pi - 1/2) less what one latent costs: between 0 and 4 nats.
    best = 5 * (-math.log(0.1) - 0.5 * math.log(2 * math.pi) - 0.5)
    assert best - 6.0 < after["val/elbo"] < best
