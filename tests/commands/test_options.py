"""From arguments and configuration files to a run: its model, its data, its trainer and what it has on record."""

from pathlib import Path

import pytest
import torch
from tests.commands.parsing import assembled, model_of, parse

from reparam_suite.data import Arrays, Digits
from reparam_suite.distributions import (
    BernoulliLikelihood,
    DiagonalNormal,
    DiscretizedLogisticLikelihood,
    FactorizedCategorical,
    NormalLikelihood,
)
from reparam_suite.estimators import (
    GradientEstimator,
    Learned,
    LeaveOneOut,
    LogMeanExp,
    Pathwise,
    ScoreFunction,
)
from reparam_suite.models import CosineSchedule, DiscreteVAE, GaussianVAE, OptimizerSettings, StagedSchedule
from reparam_suite.objectives import ELBO, ImportanceWeighted
from reparam_suite.runtime.plain_data import arguments, plain

CONF = Path(__file__).parents[2] / "conf"


# ------------------------------------------------------------------------------------------------------------- defaults


def test_loggers_and_callbacks_are_made_with_the_run(tmp_path):
    one = f"--loggers CSVLogger --loggers.save_dir {tmp_path} "
    averaging = "--trainer.callbacks+ StochasticWeightAveraging --trainer.callbacks.swa_lrs 0.1"
    parts = assembled(
        f"{one} --trainer.callbacks+ LearningRateMonitor {averaging} --trainer.callbacks.swa_epoch_start 2"
    )
    (logger,) = parts.loggers
    assert (type(logger).__name__, logger.root_dir) == ("CSVLogger", f"{tmp_path}/lightning_logs")
    callbacks = {type(each).__name__ for each in parts.trainer.callbacks}
    assert {"LearningRateMonitor", "StochasticWeightAveraging"} <= callbacks
    assert plain(parts.run.trainer["callbacks"])[1]["init_args"]["device"] == "cpu"
    several = assembled(f"{one} --loggers+ WeightsAndBiases --loggers.project digits --loggers+ TensorBoard").loggers
    assert [type(logger).__name__ for logger in several] == ["CSVLogger", "WeightsAndBiases", "TensorBoard"]
    assert several[1].project == "digits"


def test_a_callback_of_averages_has_a_device_that_a_file_can_name():
    averaging = "--trainer.callbacks+ StochasticWeightAveraging --trainer.callbacks.swa_lrs 0.1"
    parts = assembled(f"--trainer.callbacks+ LearningRateMonitor {averaging} --trainer.callbacks.swa_epoch_start 2")
    names = {type(callback).__name__ for callback in parts.trainer.callbacks}
    assert {"LearningRateMonitor", "StochasticWeightAveraging"} <= names
    assert plain(parts.run.trainer["callbacks"])[1]["init_args"]["device"] == "cpu"


def test_without_any_option_it_is_a_gaussian_vae_on_digits():
    parts = assembled("")
    model, trainer = parts.model, parts.trainer
    assert type(model) is GaussianVAE
    assert type(model.estimator) is Pathwise
    assert type(model.objective) is ELBO
    assert type(model.posterior.family) is DiagonalNormal
    assert type(parts.data) is Digits
    assert (trainer.max_steps, trainer.max_epochs) == (5_000, -1)
    assert trainer.num_devices == 1
    assert parts.run.seed == 0
    assert (trainer.loggers, parts.loggers) == ([], [])
    assert trainer.checkpoint_callbacks == []
    assert parts.monitor == "val/elbo"


def test_every_option_of_a_class_can_be_given():
    run = parse(
        "--seed 7 --model DiscreteVAE --model.latent_size 5 --model.posterior FactorizedCategorical "
        "--model.posterior.num_classes 3 --model.estimator ScoreFunction --model.estimator.num_samples 6 "
        "--model.estimator.baseline Learned --model.estimator.baseline.hidden_sizes [4,3] --model.hidden_sizes [9] "
        "--model.activation tanh --model.objective ELBO --model.objective.kl sampled --model.objective.warmup_steps 3 "
        "--model.optimizer.name RAdam --model.optimizer.options.betas [0.5,0.6] --data.batch_size 32 "
        "--data.binarization fixed --record.every 3 --trainer.max_steps 4 --trainer.gradient_clip_val 2.0 "
        "--name mine --tags.lesson 1 --monitor val/bound_10"
    )
    model, data = run.model(), run.data()
    assert type(model) is DiscreteVAE
    assert isinstance(model.posterior.family, FactorizedCategorical)
    assert model.posterior.family.num_classes == 3
    assert isinstance(model.estimator, ScoreFunction)
    assert model.estimator.num_samples == 6
    assert isinstance(model.estimator.baseline, Learned)
    assert list(model.estimator.baseline.hidden_sizes) == [4, 3]
    kept = model.constructor_arguments()
    assert (model.latent_size, list(kept["hidden_sizes"]), kept["activation"]) == (5, [9], "tanh")
    assert (model.objective.kl, model.objective.warmup_steps) == ("sampled", 3)
    assert model.optimizer == OptimizerSettings(name="RAdam", options={"betas": [0.5, 0.6]})
    assert (data.batch_size, data.binarization) == (32, "fixed")
    assert run.record.every == 3
    assert (run.seed, run.max_steps, run.name, run.tags, run.monitor) == (7, 4, "mine", {"lesson": "1"}, "val/bound_10")
    assert run.trainer == {"gradient_clip_val": 2.0}


def test_a_schedule_of_the_learning_rate_is_chosen_by_name_and_its_options():
    cosine = "--model.optimizer.schedule CosineSchedule --model.optimizer.schedule.num_steps 700"
    assert model_of(cosine).optimizer == OptimizerSettings(schedule=CosineSchedule(num_steps=700))
    stages = "--model.optimizer.schedule StagedSchedule --model.optimizer.schedule.stages [[30,1.0],[90,0.72]]"
    model = model_of(f"--model DiscreteVAE --model.optimizer.name RAdam {stages}")
    staged = StagedSchedule(stages=[(30, 1.0), (90, 0.72)])
    assert model.optimizer == OptimizerSettings(name="RAdam", schedule=staged)


def test_settings_of_optimizers_can_be_given_by_part():
    settings = '{"prior":{"name":"SGD","learning_rate":0.5},"control":{"name":"RAdam"}}'
    model = model_of(f"--model DiscreteVAE --model.prior learned --model.estimator REBAR --model.optimizer {settings}")
    assert model.optimizer == {
        "prior": OptimizerSettings(name="SGD", learning_rate=0.5),
        "control": OptimizerSettings(name="RAdam"),
    }


@pytest.mark.parametrize(
    ("text", "objective"),
    [
        ("--model.objective.weight 4", {"kl": "auto", "weight": 4.0, "warmup_steps": 0, "free_bits": 0.0}),
        ("--model.objective ELBO --model.objective.free_bits 0.5", {"kl": "auto", "weight": 1.0, "free_bits": 0.5}),
        ("--model.objective ImportanceWeighted --model.objective.bound LogMeanExp --model.estimator.num_samples 3", {}),
    ],
)
def test_an_objective_is_chosen_by_name_and_its_options(text, objective):
    made = model_of(text).objective
    assert type(made) is (ImportanceWeighted if "Importance" in text else ELBO)
    assert objective.items() <= arguments(made).items()
    if "LogMeanExp" in text:
        assert type(made.bound) is LogMeanExp


def test_networks_are_chosen_by_builders():
    model = model_of("--model.encoder MLP --model.encoder.hidden_sizes [7] --model.decoder reparam_suite.networks.MLP")
    shapes = [list(parameter.shape) for parameter in model.posterior.parameters()]
    assert shapes[0] == [7, 64]
    assert [200, 10] in [list(parameter.shape) for parameter in model.likelihood.parameters()]


def test_images_get_the_networks_that_are_named_and_a_likelihood_of_levels():
    data = "--data ColourPatches --data.size 8 "
    model = model_of(f"{data} --model.encoder ConvNet --model.encoder.channels [4,6] --model.encoder.norm group")
    assert model.event_shape == (3, 8, 8)
    assert type(model.likelihood.family) is DiscretizedLogisticLikelihood
    layers = [type(layer).__name__ for layer in model.likelihood.network]
    assert layers[-4:] == ["ConvTranspose2d", "GroupNorm", "ReLU", "ConvTranspose2d"]
    model = model_of(f"{data} --model.encoder ResNet --model.encoder.width 4 --model.decoder MLP")
    assert sum(parameter.dim() == 4 for parameter in model.posterior.parameters()) == 7
    assert not any(parameter.dim() == 4 for parameter in model.likelihood.parameters())


def test_the_model_takes_its_sizes_and_its_likelihood_from_the_data_and_the_data_the_seed(real_file):
    parts = assembled(f"--seed 11 --data Arrays --data.path {real_file}")
    assert isinstance(parts.data, Arrays)
    assert parts.model.event_shape == (5,)
    assert type(parts.model.likelihood.family) is NormalLikelihood
    first, again, other = (next(iter(assembled(f"--seed {seed}").data.train_dataloader())) for seed in (11, 11, 12))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    digits = model_of("")
    assert digits.event_shape == (64,)
    assert type(digits.likelihood.family) is BernoulliLikelihood


def test_sizes_and_likelihood_that_are_given_are_taken_before_those_of_the_data():
    model = model_of("--model.likelihood NormalLikelihood --model.likelihood.scale 0.5")
    assert (type(model.likelihood.family), model.event_shape) == (NormalLikelihood, (64,))
    assert model_of("--model.event_shape [3]").event_shape == (3,)
    images = model_of("--data.event_shape [1,8,8]")
    assert images.event_shape == (1, 8, 8)


def test_a_model_named_anew_keeps_nothing_of_the_default_one():
    assert type(model_of("--model DiscreteVAE").estimator) is ScoreFunction
    assert type(model_of("--model=DiscreteVAE").estimator.baseline) is LeaveOneOut
    assert type(model_of("--model.class_path DiscreteVAE")) is DiscreteVAE


def defaults_of(estimator: GradientEstimator) -> dict:
    return arguments(type(estimator)())


@pytest.mark.parametrize(
    "text",
    [
        "--model.estimator AntitheticPathwise",
        "--model DiscreteVAE --model.estimator ScoreFunction",
        "--model.estimator=ScoreFunction --model=DiscreteVAE",
        "--model DiscreteVAE --model.estimator.class_path DisARM",
        "--model DiscreteVAE --model.estimator MuProp",
        "--config conf/discrete_vae.yaml --model.estimator ScoreFunction",
        '--model {"class_path":"DiscreteVAE","init_args":{"estimator":"GumbelSoftmax"}}',
    ],
)
def test_an_estimator_that_is_named_has_its_own_defaults_not_those_of_the_model(text, monkeypatch):
    monkeypatch.chdir(CONF.parent)
    estimator = model_of(text).estimator
    assert arguments(estimator) == defaults_of(estimator)


def test_an_estimator_in_a_file_has_its_own_defaults_too(tmp_path):
    (tmp_path / "run.yaml").write_text(
        "model: {class_path: DiscreteVAE, init_args: {estimator: {class_path: ScoreFunction, init_args: "
        "{num_samples: 6}}}}"
    )
    estimator = model_of(f"--config {tmp_path}/run.yaml").estimator
    assert arguments(estimator) == defaults_of(estimator) | {"num_samples": 6}


def test_what_a_file_says_of_the_estimator_stays_as_far_as_another_one_takes_it():
    text = f"--config {CONF}/mnist_discrete.yaml --data Digits --model.estimator"
    assert model_of(f"{text} DisARM").estimator.num_samples == 4
    assert type(model_of(f"{text} ScoreFunction").estimator.baseline) is LeaveOneOut


@pytest.mark.parametrize(("model", "K"), [("GaussianVAE", 1), ("DiscreteVAE", 4)])
def test_options_without_the_name_of_an_estimator_are_those_of_the_models_own(model, K):
    options = f"--model {model} --record.every 3"
    default = model_of(options)
    assert arguments(default.estimator) == arguments(default.default_estimator())
    assert default.estimator.num_samples == K
    changed = model_of(f"{options} --model.estimator.num_samples 7").estimator
    assert arguments(changed) == arguments(default.estimator) | {"num_samples": 7}


def test_the_weights_depend_on_the_seed_alone():
    first, second, third = (assembled(text).model.state_dict() for text in ("--seed 3", "--seed 3", "--seed 4"))
    tensors = [name for name, value in first.items() if value.dim()]
    assert all(torch.equal(first[name], second[name]) for name in tensors)
    assert not torch.equal(first[tensors[0]], third[tensors[0]])
