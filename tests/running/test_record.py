"""The record of a run from its beginning: configuration, tags, names."""

import logging
from types import SimpleNamespace

import pytest
import yaml
from rich.console import Console
from tests.running.models import Regression, gaussian, rows

from reparam_suite import Run
from reparam_suite.data import Digits
from reparam_suite.estimators import LeaveOneOut, Pathwise, ScoreFunction
from reparam_suite.running import Surroundings
from reparam_suite.running.assembly import assemble
from reparam_suite.running.record import (
    configuration,
    description,
    estimator_name,
    keep_configuration,
    record_of,
    run_name_of,
    tags_of,
)
from reparam_suite.running.resumption import RUN_KEY
from reparam_suite.runtime.global_state import unchanged_globals
from reparam_suite.runtime.plain_data import Described
from reparam_suite.training import StopSignals


def assembled(*given, **options):
    with unchanged_globals():
        return assemble(Run(*given, **options), Surroundings(Console(quiet=True), StopSignals(), None))


@pytest.fixture(scope="module")
def parts():
    return assembled(gaussian, Digits(batch_size=50), seed=4, max_steps=7, tags={"a": "b", RUN_KEY: "k"})


def test_an_estimator_is_called_by_its_class_and_its_baselines():
    assert estimator_name(Pathwise()) == "Pathwise"
    assert estimator_name(ScoreFunction(num_samples=2, baseline=LeaveOneOut())) == "ScoreFunction-LeaveOneOut"


def test_a_run_has_the_name_that_was_given_or_one_of_estimator_seed_and_data(parts):
    assert run_name_of(parts) == "Pathwise-4-Digits"
    named = SimpleNamespace(run=SimpleNamespace(name="mine"), model=parts.model)
    assert run_name_of(named) == "mine"


def test_the_configuration_is_what_a_file_holds_and_has_no_key_of_this_one_run(parts):
    found = configuration(parts)
    assert yaml.safe_load(yaml.safe_dump(found)) == found
    assert found["tags"] == {"a": "b"}
    assert (found["trainer"]["max_steps"], found["trainer"]["max_epochs"]) == (7, -1)
    assert found["model"]["class_path"] == "reparam_suite.models.GaussianVAE"
    assert found["model"]["init_args"]["latent_size"] == 3
    assert found["data"]["init_args"]["batch_size"] == 50


def test_the_record_has_the_configuration_as_text_and_the_tags_of_the_user(parts):
    record = record_of(parts)
    assert yaml.safe_load(record.text) == record.options == configuration(parts)
    assert record.parameters["estimator"] == "Pathwise"
    assert (record.tags["a"], record.tags[RUN_KEY]) == ("b", "k")


def test_tags_say_what_was_trained_with_what(parts):
    tags = tags_of(parts)
    expected = {
        "model": "GaussianVAE",
        "estimator": "Pathwise",
        "estimator.expression": "Pathwise()",
        "estimator.unbiased": "true",
        "dataset": "Digits",
        "dataset.kind": "binary",
        "dataset.resumes": "bitwise",
        "seed": "4",
        "device": "cpu",
        "num_processes": "1",
        "posterior": "DiagonalNormal",
        "objective": "ELBO()",
        "monitor": "val/elbo",
    }
    assert {name: tags[name] for name in expected} == expected
    other = tags_of(assembled(lambda: Regression(Pathwise()), rows()))
    assert not {"posterior", "objective", "monitor"} & set(other)


class Opaque:
    def __init__(self, hidden):
        """Keeps nothing."""


def test_a_part_that_does_not_say_all_is_described_as_it_was_given():
    given = Described(gaussian, {"class_path": "mine.Model", "init_args": {"a": 1}})
    whole, opaque = gaussian(), Opaque(1)
    assert description(whole, given)["class_path"] == "reparam_suite.models.GaussianVAE"
    assert description(opaque, given) == given.description
    assert description(opaque, given) is not given.description
    assert "opaque" in str(description(opaque, gaussian))


def test_the_configuration_is_kept_beside_the_checkpoints_without_the_place_of_the_store(parts, tmp_path, caplog):
    checkpoints = SimpleNamespace(directory=tmp_path / "checkpoints" / "1")
    keep_configuration(parts, checkpoints)
    assert [path.name for path in checkpoints.directory.iterdir()] == ["config.yaml"]
    kept = yaml.safe_load((checkpoints.directory / "config.yaml").read_text())
    assert kept == {name: value for name, value in configuration(parts).items() if name != "tracking"}
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING):
        keep_configuration(parts, SimpleNamespace(directory=tmp_path / "file" / "1"))
    assert caplog.messages == [f"{tmp_path}/file/1/config.yaml cannot be written (Not a directory); training continues"]
