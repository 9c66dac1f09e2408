"""Configuration files, classes of a user's own and help: what is read, and what is on record."""

import math
import sys
from pathlib import Path

import pytest
import torch
import yaml
from tests.commands.parsing import assembled, model_of, parse

from reparam_suite.commands.options import Options
from reparam_suite.distributions import (
    FullCovarianceNormal,
)
from reparam_suite.estimators import (
    Enumeration,
    LeaveOneOut,
    MovingAverage,
    Pathwise,
    ScoreFunction,
    StickTheLanding,
)
from reparam_suite.models import DiscreteVAE, GaussianVAE
from reparam_suite.objectives import ELBO, ImportanceWeighted
from reparam_suite.running.record import configuration
from reparam_suite.training import RecordSettings

CONF = Path(__file__).parents[2] / "conf"


def test_a_file_is_read_and_later_options_override_it(tmp_path):
    (tmp_path / "run.yaml").write_text(
        "seed: 5\n"
        "model: {class_path: DiscreteVAE, init_args: {latent_size: 6, estimator: {class_path: Enumeration}}}\n"
        "data: {class_path: Digits, init_args: {batch_size: 17}}\n"
    )
    for option in (f"--config {tmp_path}/run.yaml", f"--config={tmp_path}/run.yaml", f"-c {tmp_path}/run.yaml"):
        run = parse(f"{option} --model.latent_size 7 --data.binarization fixed")
        model, data = run.model(), run.data()
        assert type(model) is DiscreteVAE
        assert type(model.estimator) is Enumeration
        assert (model.latent_size, run.seed) == (7, 5)
        assert (data.batch_size, data.binarization) == (17, "fixed")


def test_a_file_need_not_name_the_model(tmp_path):
    (tmp_path / "run.yaml").write_text("data: {class_path: Digits, init_args: {batch_size: 17}}")
    run = parse(f"--config {tmp_path}/run.yaml")
    assert type(run.model()) is GaussianVAE
    assert run.data().batch_size == 17


@pytest.mark.parametrize(
    "text",
    [
        "",
        "--model DiscreteVAE",
        "--model DiscreteVAE --model.posterior FactorizedCategorical --model.prior learned "
        "--model.estimator GumbelSoftmax --model.estimator.temperature ExponentialDecay "
        "--model.estimator.temperature.num_steps 50",
        "--model.posterior FullCovarianceNormal --model.estimator StickTheLanding --model.objective ImportanceWeighted "
        "--seed 9",
        "--model DiscreteVAE --model.estimator.baseline VarianceNormalized "
        "--model.estimator.baseline.baseline LeaveOneOut --trainer.max_epochs 3",
        '--model DiscreteVAE --model.prior learned --model.optimizer {"prior":{"name":"SGD"}} --name mine --tags.a b',
        "--seed 4 --record.every 7 --tracking.experiment other --model.encoder MLP --data.event_shape [8,8]",
        "--trainer.callbacks EMAWeightAveraging --trainer.callbacks.decay 0.9",
    ],
)
def test_the_configuration_on_record_makes_the_same_run_again(text, tmp_path):
    parts = assembled(text)
    recorded = configuration(parts)
    assert set(recorded) == {
        *("seed", "num_threads", "compile", "monitor", "name", "tags"),
        *("trainer", "model", "data", "tracking", "loggers", "record", "checkpoint"),
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(recorded))
    again = assembled(f"--config {tmp_path}/config.yaml")
    assert configuration(again) == recorded
    assert type(again.model) is type(parts.model)
    for (name, value), other in zip(parts.model.state_dict().items(), again.model.state_dict().values(), strict=True):
        assert torch.equal(value, other), name
    assert again.trainer.max_steps == parts.trainer.max_steps


def test_the_configuration_on_record_says_what_was_not_given():
    recorded = configuration(assembled(""))
    assert recorded["model"]["init_args"]["estimator"] == {
        "class_path": "reparam_suite.estimators.Pathwise",
        "init_args": {"num_samples": 1},
    }
    assert recorded["data"]["init_args"]["batch_size"] == 100
    assert recorded["trainer"] == {"max_steps": 5_000, "max_epochs": -1}
    settings = {"every": 50, "gradients_every": 200, "test_samples": 5_000, "test_data": 400, "export": False}
    assert recorded["record"] == settings


# ------------------------------------------------------------------------------------------------- a user's own classes

MINE = '''
from typing import final

from reparam_suite.estimators import Average, Estimate, GradientEstimator


@final
class HalfStep(GradientEstimator):
    """Pathwise, its gradient halved.

    Args:
        num_samples: K.
        share: of the gradient.
    """

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
    parts = assembled(f"--model.estimator {my_module}.HalfStep --model.estimator.share 0.25")
    estimator = parts.model.estimator
    assert (type(estimator).__name__, estimator.share) == ("HalfStep", 0.25)
    recorded = configuration(parts)
    assert recorded["model"]["init_args"]["estimator"] == {
        "class_path": "my_module.HalfStep",
        "init_args": {"num_samples": 1, "share": 0.25},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(recorded))
    assert model_of(f"--config {tmp_path}/config.yaml").estimator.share == 0.25


# ----------------------------------------------------------------------------------------------------------------- help


@pytest.mark.parametrize(
    ("args", "options"),
    [
        (["--model.estimator.help", "DisARM"], {"--model.estimator.num_samples"}),
        (["--model.estimator.baseline.help=MovingAverage"], {"--model.estimator.baseline.decay"}),
        (["--data.help", "reparam_suite.data.Digits"], {"--data.batch_size", "--data.binarization"}),
    ],
)
def test_help_of_a_class_names_its_options_as_they_are_typed(args, options, capsys):
    with pytest.raises(SystemExit) as ended:
        Options.of(args)
    assert ended.value.code == 0
    told = {word.strip(",") for word in capsys.readouterr().out.split() if word.startswith("--")}
    assert options <= told
    assert all(name.startswith(args[0].partition(".help")[0]) for name in told)


def test_the_printed_configuration_can_be_read_again(capsys, tmp_path):
    with pytest.raises(SystemExit) as ended:
        parse("--model DiscreteVAE --model.latent_size 6 --print_config")
    assert ended.value.code in (0, None)
    (tmp_path / "run.yaml").write_text(capsys.readouterr().out)
    again = model_of(f"--config {tmp_path}/run.yaml")
    assert again.latent_size == 6
    assert type(again.estimator.baseline) is LeaveOneOut


def test_record_settings_are_checked():
    with pytest.raises(ValueError, match=r"record\.every: expected at least 1, got 0"):
        RecordSettings(every=0)
    assert RecordSettings(every=1).gradients_every == 200


# ------------------------------------------------------------------------------------------ what fits and what does not


@pytest.mark.parametrize(
    ("text", "estimator"),
    [
        ("--model.estimator StickTheLanding --model.posterior FullCovarianceNormal", StickTheLanding),
        ("--model.objective ImportanceWeighted --model.estimator.num_samples 3", Pathwise),
        ("--model DiscreteVAE --model.estimator.baseline MovingAverage --model.estimator.num_samples 1", ScoreFunction),
    ],
)
def test_parts_that_fit_are_taken(text, estimator):
    model = model_of(text)
    assert type(model.estimator) is estimator
    assert type(model.objective) is (ImportanceWeighted if "Importance" in text else ELBO)
    if "FullCovariance" in text:
        assert type(model.posterior.family) is FullCovarianceNormal
    if "MovingAverage" in text:
        assert type(model.estimator.baseline) is MovingAverage


@pytest.mark.parametrize("option", ["--trainer.max_steps -1 --trainer.max_epochs 2", "--trainer.max_time 00:00:01:00"])
def test_a_run_may_be_bounded_otherwise_than_by_its_steps(option):
    trainer = assembled(option).trainer
    assert trainer.max_epochs == 2 or math.isfinite(trainer.max_steps)
