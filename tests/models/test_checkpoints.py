"""A checkpoint holds no code: it is loaded with `weights_only=True`, and the model continues where it stood."""

import pytest
import torch
from tests.models.small import bits, categorical, discrete, fit, gaussian, seeded, trainer

from reparam_suite.data import Digits
from reparam_suite.distributions import FullCovarianceNormal
from reparam_suite.estimators import (
    ExponentialDecay,
    GumbelSoftmax,
    Learned,
    MovingAverage,
    ScoreFunction,
    StickTheLanding,
    VarianceNormalized,
)
from reparam_suite.models import DiscreteVAE, GaussianVAE, OptimizerSettings
from reparam_suite.objectives import ELBO, ImportanceWeighted
from reparam_suite.runtime.plain_data import arguments

DIGITS = {"event_shape": (64,)}

MODELS = {
    "gaussian": lambda: gaussian(
        **DIGITS,
        posterior=FullCovarianceNormal(),
        estimator=StickTheLanding(num_samples=2),
        objective=ImportanceWeighted(),
        centre_input=True,
        prior="learned",
        optimizer={"prior": OptimizerSettings(name="SGD", learning_rate=0.1, options={"momentum": 0.5})},
    ),
    "discrete": lambda: discrete(
        **DIGITS,
        estimator=ScoreFunction(num_samples=2, baseline=VarianceNormalized(baseline=Learned(hidden_sizes=(4,)))),
        optimizer=OptimizerSettings(options={"betas": [0.8, 0.9]}),
        prior="learned",
    ),
    "moving average": lambda: discrete(**DIGITS, estimator=ScoreFunction(baseline=MovingAverage(decay=0.9))),
    "categorical": lambda: categorical(
        **DIGITS, estimator=GumbelSoftmax(temperature=ExponentialDecay(num_steps=10)), objective=ELBO(weight=0.5)
    ),
}


@pytest.fixture(scope="module", params=MODELS)
def trained(request, tmp_path_factory):
    """A model after 7 steps, in mid-epoch, and its checkpoint."""
    model = MODELS[request.param]()
    path = tmp_path_factory.mktemp("checkpoints") / "model.ckpt"
    fit(model, Digits(batch_size=300), max_steps=7).save_checkpoint(path)
    return request.param, model, path


def test_it_loads_without_running_code_and_gives_equal_outputs(trained):
    _, model, path = trained
    torch.load(path, weights_only=True)
    loaded = type(model).load_from_checkpoint(path, weights_only=True)
    assert arguments(loaded) == arguments(model)
    x = bits(5, 64)
    for name, value in model.eval()(x).items():
        assert torch.equal(loaded.eval()(x)[name], value), name
    for (name, value), other in zip(model.state_dict().items(), loaded.state_dict().values(), strict=True):
        assert torch.equal(value, other), name
    with seeded():
        loss = model.training_step(x, 0)["loss"]
    with seeded():
        assert torch.equal(loaded.training_step(x, 0)["loss"], loss), "the estimator and its state are the same too"


def test_what_was_learned_is_in_it(trained):
    name, model, _ = trained
    fresh = MODELS[name]()
    if name == "gaussian":
        assert model.posterior.network[0].mean.any()
    moved = [key for key, value in model.state_dict().items() if not torch.equal(value, fresh.state_dict()[key])]
    assert any(key.startswith("posterior") for key in moved)
    for part in {
        "gaussian": ["prior"],
        "discrete": ["prior.", "estimator.baseline.baseline.network", "estimator.baseline.past"],
        "moving average": ["estimator.baseline.past"],
        "categorical": ["estimator.temperature.step"],
    }[name]:
        assert any(key.startswith(part) for key in moved), part


def test_it_is_loaded_by_another_model_as_little_as_possible(trained):
    _, model, path = trained
    other = DiscreteVAE if isinstance(model, GaussianVAE) else GaussianVAE
    with pytest.raises((ValueError, TypeError, RuntimeError)):
        other.load_from_checkpoint(path, weights_only=True)


def test_resumed_training_continues_with_the_same_weights_and_optimizer(trained, tmp_path):
    """The data and the optimizer continue; with the noise seeded alike, one more step is the same step."""
    name, _, path = trained
    ends = []
    for _ in range(2):
        model = MODELS[name]()
        with seeded(3):
            used = trainer(max_steps=9)
            used.fit(model, datamodule=Digits(batch_size=300), ckpt_path=path, weights_only=True)
        assert used.global_step == 9
        ends.append(model.state_dict())
    for key, value in ends[0].items():
        assert torch.equal(value, ends[1][key]), key
    state = torch.load(path, weights_only=True)["optimizer_states"][0]
    assert set(state) == ({"encoder, decoder", "prior"} if name == "gaussian" else {"state", "param_groups"})
