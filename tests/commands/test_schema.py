"""The options of `fit`: those of the run's own arguments, and what they are without a word."""

import dataclasses
import inspect

import pytest
from lightning.pytorch import Trainer

from reparam_suite import Run
from reparam_suite.commands.jsonargparse_internals import option_strings
from reparam_suite.commands.schema import run_parser
from reparam_suite.tracking import TrackingSettings
from reparam_suite.training import CheckpointSettings, RecordSettings


@pytest.fixture(scope="module")
def parser():
    return run_parser()


def test_every_argument_of_a_run_is_an_option(parser):
    """A part of what they are made of, where an argument is no plain value; what resumes a run is named by --resume."""
    options = set(option_strings(parser))
    settings = {"tracking": TrackingSettings, "record": RecordSettings, "checkpoint": CheckpointSettings}
    for name, cls in settings.items():
        assert {f"--{name}.{field.name}" for field in dataclasses.fields(cls)} <= options
    elsewhere = {"max_steps": "trainer.max_steps", "max_epochs": "trainer.max_epochs"}
    elsewhere |= {"progress": "trainer.enable_progress_bar", "resumption": "resume"}
    plain = {field.name for field in dataclasses.fields(Run)} - {*settings, "trainer", "model", "data"}
    assert {f"--{elsewhere.get(name, name)}" for name in plain} <= options
    of_trainer = {f"--trainer.{name}" for name in inspect.signature(Trainer).parameters}
    assert of_trainer <= options


def test_without_a_word_they_are_those_of_a_run(parser):
    values = parser.get_defaults()
    defaults = {field.name: field.default for field in dataclasses.fields(Run)}
    for name in ("seed", "name", "monitor", "compile"):
        assert values[name] == defaults[name], name
    assert RecordSettings(**vars(values.record)) == defaults["record"]
    assert CheckpointSettings(**vars(values.checkpoint)) == defaults["checkpoint"]
    assert (values.trainer.devices, values.num_threads, values.seeds) == (1, 1, None)


def test_several_values_and_names_are_taken(parser):
    parsed = parser.parse_args(
        ["--seeds", "3", "4", "--tags.lesson", "1", "--tags.of", "x", "--allow_modules", "a", "b"]
    )
    assert parsed.seeds == [3, 4]
    assert parsed.tags == {"lesson": "1", "of": "x"}
    assert parsed.allow_modules == ["a", "b"]
