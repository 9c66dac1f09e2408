"""From arguments and configuration files to a model, its data and a trainer."""

import math
import sys
from pathlib import Path

import pytest
import torch
import yaml
from tests.launching import as_it_was

from reparam_suite.commands.command_line import Command, RecordSettings
from reparam_suite.data import Arrays, Digits
from reparam_suite.estimators import (
    Average,
    Enumeration,
    GradientEstimator,
    Learned,
    LeaveOneOut,
    LogMeanExp,
    MovingAverage,
    Pathwise,
    ScoreFunction,
    StickTheLanding,
)
from reparam_suite.models import DiscreteVAE, GaussianVAE, OptimizerSettings
from reparam_suite.models.hyperparameters import arguments
from reparam_suite.distributions import DiagonalNormal, FactorizedCategorical, FullCovarianceNormal

CONF = Path(__file__).parents[1] / "conf"


@pytest.fixture(autouse=True)
def _isolated():
    with as_it_was():
        yield


def parse(text: str) -> Command:
    return Command(text.split())


# ------------------------------------------------------------------------------------------------------------- defaults


def test_without_any_option_it_is_a_gaussian_vae_on_digits():
    command = Command([])
    model = command.model
    assert type(model) is GaussianVAE
    assert type(model.estimator) is Pathwise
    assert type(model.posterior) is DiagonalNormal
    assert type(model.bound) is Average
    assert type(command.datamodule) is Digits
    assert (command.trainer.max_steps, command.trainer.max_epochs) == (5_000, -1)
    assert command.trainer.num_devices == 1
    assert command.config.seed == 0
    assert command.trainer.loggers == []
    assert command.trainer.checkpoint_callbacks == []


def test_every_option_of_a_class_can_be_given():
    command = parse(
        "--seed 7 --model DiscreteVAE --model.latent_size 5 --model.posterior FactorizedCategorical "
        "--model.posterior.num_classes 3 --model.estimator ScoreFunction --model.estimator.num_samples 6 "
        "--model.estimator.baseline Learned --model.estimator.baseline.hidden_sizes [4,3] --model.hidden_sizes [9] "
        "--model.activation tanh --model.kl sampled --model.kl_warmup_steps 3 --model.optimizer.name RAdam "
        "--model.optimizer.options.betas [0.5,0.6] --model.control_optimizer.name SGD "
        "--model.control_optimizer.learning_rate 0.5 --data.batch_size 32 --data.binarization fixed "
        "--record.every 3 --trainer.max_steps 4"
    )
    model = command.model
    assert type(model) is DiscreteVAE
    assert isinstance(model.posterior, FactorizedCategorical)
    assert model.posterior.num_classes == 3
    assert isinstance(model.estimator, ScoreFunction)
    assert model.estimator.num_samples == 6
    assert isinstance(model.estimator.baseline, Learned)
    assert model.estimator.baseline.hidden_sizes == [4, 3]
    assert (model.latent_size, model.hidden_sizes, model.activation) == (5, [9], "tanh")
    assert (model.kl, model.kl_warmup_steps) == ("sampled", 3)
    assert model.optimizer == OptimizerSettings(name="RAdam", options={"betas": [0.5, 0.6]})
    assert model.control_optimizer == OptimizerSettings(name="SGD", learning_rate=0.5)
    assert (command.datamodule.batch_size, command.datamodule.binarization) == (32, "fixed")
    assert command.config.record.every == 3
    assert command.trainer.max_steps == 4


def test_the_model_learns_its_sizes_from_the_data_and_the_data_its_seed(real_file):
    command = parse(f"--seed 11 --data Arrays --data.path {real_file}")
    assert isinstance(command.datamodule, Arrays)
    assert (command.model.num_features, command.model.observation) == (5, "real")
    assert command.datamodule.seed == 11
    assert (Command([]).model.num_features, Command([]).model.observation) == (64, "binary")


def test_a_model_named_anew_keeps_nothing_of_the_default_one():
    assert type(parse("--model DiscreteVAE").model.estimator) is ScoreFunction
    assert type(parse("--model=DiscreteVAE").model.estimator.baseline) is LeaveOneOut
    assert type(parse("--model.class_path DiscreteVAE").model) is DiscreteVAE


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
    estimator = parse(text).model.estimator
    assert arguments(estimator) == defaults_of(estimator)


def test_an_estimator_in_a_file_has_its_own_defaults_too(tmp_path):
    (tmp_path / "run.yaml").write_text(
        "model: {class_path: DiscreteVAE, init_args: {estimator: {class_path: ScoreFunction, init_args: "
        "{num_samples: 6}}}}"
    )
    estimator = parse(f"--config {tmp_path}/run.yaml").model.estimator
    assert arguments(estimator) == defaults_of(estimator) | {"num_samples": 6}


def test_what_a_file_says_of_the_estimator_stays_as_far_as_another_one_takes_it():
    text = f"--config {CONF}/mnist_discrete.yaml --model.estimator"
    assert parse(f"{text} DisARM").model.estimator.num_samples == 4
    assert type(parse(f"{text} ScoreFunction").model.estimator.baseline) is LeaveOneOut


@pytest.mark.parametrize(("model", "K"), [("GaussianVAE", 1), ("DiscreteVAE", 4)])
def test_options_without_the_name_of_an_estimator_are_those_of_the_models_own(model, K):
    options = f"--model {model} --record.every 3"
    default = parse(options).model
    assert arguments(default.estimator) == arguments(default.default_estimator())
    assert default.estimator.num_samples == K
    changed = parse(f"{options} --model.estimator.num_samples 7").model.estimator
    assert arguments(changed) == arguments(default.estimator) | {"num_samples": 7}


def test_the_weights_depend_on_the_seed_alone():
    first, second, third = (parse(text).model.state_dict() for text in ("--seed 3", "--seed 3", "--seed 4"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["encoder.0.weight"], third["encoder.0.weight"])


# -------------------------------------------------------------------------------------------------- configuration files


def test_a_file_is_read_and_later_options_override_it(tmp_path):
    (tmp_path / "run.yaml").write_text(
        "seed: 5\n"
        "model: {class_path: DiscreteVAE, init_args: {latent_size: 6, estimator: {class_path: Enumeration}}}\n"
        "data: {class_path: Digits, init_args: {batch_size: 17}}\n"
    )
    for option in (f"--config {tmp_path}/run.yaml", f"--config={tmp_path}/run.yaml", f"-c {tmp_path}/run.yaml"):
        command = parse(f"{option} --model.latent_size 7 --data.binarization fixed")
        assert type(command.model) is DiscreteVAE
        assert type(command.model.estimator) is Enumeration
        assert (command.model.latent_size, command.config.seed) == (7, 5)
        assert (command.datamodule.batch_size, command.datamodule.binarization) == (17, "fixed")


def test_a_file_need_not_name_the_model(tmp_path):
    (tmp_path / "run.yaml").write_text("data: {class_path: Digits, init_args: {batch_size: 17}}")
    command = parse(f"--config {tmp_path}/run.yaml")
    assert type(command.model) is GaussianVAE
    assert command.datamodule.batch_size == 17


@pytest.mark.parametrize(
    "text",
    [
        "",
        "--model DiscreteVAE",
        "--model DiscreteVAE --model.posterior FactorizedCategorical --model.prior learned "
        "--model.estimator GumbelSoftmax --model.estimator.temperature ExponentialDecay "
        "--model.estimator.temperature.num_steps 50",
        "--model.posterior FullCovarianceNormal --model.estimator StickTheLanding --model.bound LogMeanExp --seed 9",
        "--model DiscreteVAE --model.estimator.baseline VarianceNormalized "
        "--model.estimator.baseline.baseline LeaveOneOut --model.prior_optimizer.name SGD --trainer.max_epochs 3",
        "--seeds 3 4 --seed 4 --record.every 7 --tracking.experiment other",
    ],
)
def test_the_resolved_configuration_makes_the_same_run_again(text, tmp_path):
    command = parse(text)
    resolved = command.resolved_config()
    assert set(resolved) == {
        "seed",
        "num_threads",
        "compile",
        "trainer",
        "model",
        "data",
        "tracking",
        "record",
        "checkpoint",
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(resolved))
    again = parse(f"--config {tmp_path}/config.yaml")
    assert again.resolved_config() == resolved
    assert type(again.model) is type(command.model)
    assert arguments(again.model) == arguments(command.model)
    for (name, value), other in zip(command.model.state_dict().items(), again.model.state_dict().values(), strict=True):
        assert torch.equal(value, other), name
    assert again.trainer.max_steps == command.trainer.max_steps


def test_the_resolved_configuration_says_what_was_not_given():
    resolved = Command([]).resolved_config()
    assert resolved["model"]["init_args"]["estimator"] == {
        "class_path": "reparam_suite.estimators.Pathwise",
        "init_args": {"num_samples": 1},
    }
    assert resolved["data"]["init_args"] == {"batch_size": 100, "binarization": "dynamic"}
    assert resolved["trainer"]["max_steps"] == 5_000
    assert resolved["record"] == {"every": 50, "gradients_every": 200, "test_samples": 5_000, "test_data": 400}


# ------------------------------------------------------------------------------------------------- a user's own classes

MINE = '''
from typing import final

from reparam_suite.estimators import Average, GradientEstimator
from reparam_suite.estimators.base import Estimate
from torch.distributions import Normal


@final
class HalfStep(GradientEstimator):
    """Pathwise, its gradient halved.

    Args:
        num_samples: K.
        share: of the gradient.
    """

    families = (Normal,)
    bounds = (Average,)
    differentiates_f = True
    unbiased = False

    def __init__(self, *, num_samples: int = 1, share: float = 0.5) -> None:
        super().__init__(num_samples=num_samples)
        self.share = share

    def estimate(self, target):
        value = target.bound.value(target.f(target.q.rsample((self.num_samples,)), target.q))
        objective = value.detach() + self.share * (value - value.detach())
        return Estimate(objective=objective, control_loss=objective.new_zeros(()))
'''


@pytest.fixture
def my_module(tmp_path, monkeypatch):
    (tmp_path / "my_module.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    yield "my_module"
    sys.modules.pop("my_module", None)


def test_a_class_of_the_users_own_is_named_by_its_dotted_path(my_module, tmp_path):
    command = parse(f"--model.estimator {my_module}.HalfStep --model.estimator.share 0.25")
    estimator = command.model.estimator
    assert (type(estimator).__name__, estimator.share) == ("HalfStep", 0.25)
    resolved = command.resolved_config()
    assert resolved["model"]["init_args"]["estimator"]["class_path"] == "my_module.HalfStep"
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(resolved))
    assert parse(f"--config {tmp_path}/config.yaml").model.estimator.share == 0.25
    assert dict(command.model.hparams)["estimator"]["init_args"] == {"num_samples": 1, "share": 0.25}


# ----------------------------------------------------------------------------------------------------------------- help


def test_help_tells_every_option_and_ends_well(capsys):
    with pytest.raises(SystemExit) as ended:
        Command(["--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    for option in (
        "--seed",
        "--seeds",
        "--trainer.max_steps",
        "--tracking.uri",
        "--record.gradients_every",
        "--config",
    ):
        assert option in told
    assert "of the weights, the noise and the order of the data" in told


def test_the_printed_configuration_can_be_read_again(capsys, tmp_path):
    with pytest.raises(SystemExit) as ended:
        parse("--model DiscreteVAE --model.latent_size 6 --print_config")
    assert ended.value.code in (0, None)
    (tmp_path / "run.yaml").write_text(capsys.readouterr().out)
    again = parse(f"--config {tmp_path}/run.yaml")
    assert again.model.latent_size == 6
    assert type(again.model.estimator.baseline) is LeaveOneOut


def test_record_settings_are_checked():
    with pytest.raises(ValueError, match=r"record\.every must be at least 1, got 0"):
        RecordSettings(every=0)
    assert RecordSettings(every=1).gradients_every == 200


# ------------------------------------------------------------------------------------------ what fits and what does not


@pytest.mark.parametrize(
    ("text", "estimator"),
    [
        ("--model.estimator StickTheLanding --model.posterior FullCovarianceNormal", StickTheLanding),
        ("--model.bound LogMeanExp --model.estimator.num_samples 3", Pathwise),
        ("--model DiscreteVAE --model.estimator.baseline MovingAverage --model.estimator.num_samples 1", ScoreFunction),
    ],
)
def test_parts_that_fit_are_taken(text, estimator):
    model = parse(text).model
    assert type(model.estimator) is estimator
    assert type(model.bound) is (LogMeanExp if "LogMeanExp" in text else Average)
    if "FullCovariance" in text:
        assert type(model.posterior) is FullCovarianceNormal
    if "MovingAverage" in text:
        assert type(model.estimator.baseline) is MovingAverage


@pytest.mark.parametrize("option", ["--trainer.max_steps -1 --trainer.max_epochs 2", "--trainer.max_time 00:00:01:00"])
def test_a_run_may_be_bounded_otherwise_than_by_its_steps(option):
    trainer = parse(option).trainer
    assert trainer.max_epochs == 2 or math.isfinite(trainer.max_steps)
