"""Configurations that version 0.1.0 wrote beside checkpoints."""

from typing import Any

import numpy as np
import pytest
import yaml
from tests.versions.recorded import Recorded

from reparam_suite.runtime.errors import UsageError
from reparam_suite.versions import present_checkpoint
from reparam_suite.versions.configurations import (
    check_configuration,
    is_earlier_configuration,
    present_configuration,
)
from reparam_suite.versions.errors import EarlierVersionError


def configuration(recorded: Recorded, name: str = "gaussian") -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(recorded.checkpoint(name).with_name("config.yaml").read_text())
    return found


def model(recorded: Recorded, name: str) -> dict[str, Any]:
    found: dict[str, Any] = present_checkpoint(recorded.content(name))["reparam_suite"]["model"]
    return found


def test_options_of_the_trainer_that_were_defaults_are_left_out(recorded):
    config = configuration(recorded)
    assert present_configuration(config, None)["trainer"] == {"max_steps": 32, "max_epochs": -1}
    config["trainer"] |= {"gradient_clip_val": 1.0, "precision": "bf16-mixed", "devices": 2}
    config["trainer"]["callbacks"] = [{"class_path": "reparam_suite.training.path.PathRecord", "init_args": {}}]
    assert present_configuration(config, None)["trainer"] == {
        "devices": 2,
        "precision": "bf16-mixed",
        "gradient_clip_val": 1.0,
        "callbacks": [{"class_path": "reparam_suite.training.PathRecord", "init_args": {}}],
        "max_steps": 32,
        "max_epochs": -1,
    }


@pytest.mark.parametrize("name", ["gaussian", "discrete"])
def test_the_configuration_is_complete(recorded, name):
    found = present_configuration(configuration(recorded, name), model(recorded, name))
    arguments = found["model"]["init_args"]
    assert arguments["event_shape"] == [64]
    assert arguments["posterior"]["init_args"] == {"latent_size": None}
    assert found["data"]["init_args"] == {
        "event_shape": [64],
        "batch_size": 100,
        "binarization": "dynamic",
        "seed": None,
    }
    assert found["monitor"] == "val/elbo"
    assert not is_earlier_configuration(found)
    assert present_configuration(found, None) is found


def test_without_a_checkpoint_the_data_of_the_suite_say_what_the_model_took_from_them(recorded):
    config = configuration(recorded)
    assert present_configuration(config, None)["model"]["init_args"]["event_shape"] == [64]
    config["data"] = {"class_path": "reparam_suite.data.Arrays", "init_args": {"path": "own.npz"}}
    found = present_configuration(config, None)
    assert not {"event_shape", "likelihood"} & set(found["model"]["init_args"])  # the file alone knows
    assert found["data"]["init_args"]["kind"] is None  # a default of this version; the file is not there


def test_images_of_an_own_file_have_to_be_saved_flat(recorded, tmp_path):
    config, file = configuration(recorded), tmp_path / "own.npz"
    config["data"] = {"class_path": "reparam_suite.data.Arrays", "init_args": {"path": str(file)}}
    images = np.zeros((20, 8, 8), dtype=np.uint8)
    np.savez(file, x_train=images)
    told = rf"data: expected rows of shape \(64,\), as version 0.1.0 .*, got \(8, 8\): save .* flat, .* in {file} and"
    with pytest.raises(UsageError, match=told):
        present_configuration(config, model(recorded, "gaussian"))
    np.savez(file, x_train=images.reshape(len(images), -1))
    found = present_configuration(config, model(recorded, "gaussian"))
    assert found["data"]["init_args"]["path"] == str(file)


def test_classes_of_others_stay_for_the_user_to_allow(recorded):
    config = configuration(recorded)
    own = {"class_path": "my_package.Own", "init_args": {"num_samples": 2}}
    config["model"]["init_args"]["estimator"] = own
    arguments = present_configuration(config, None)["model"]["init_args"]
    assert arguments["estimator"] == own
    assert arguments["encoder"] is None


@pytest.mark.parametrize("config", [None, [], {}, {"model": "GaussianVAE"}, {"model": {"init_args": {"bound": 1}}}])
def test_other_files_are_none_of_version_0_1_0(config):
    assert not is_earlier_configuration(config)
    check_configuration(config, "--config own.yaml")


def test_a_file_that_a_user_gives_is_refused(recorded):
    with pytest.raises(EarlierVersionError, match=r"^--config old\.yaml: expected the options of this version"):
        check_configuration(configuration(recorded), "--config old.yaml")
