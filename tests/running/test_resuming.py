"""The arguments of a run on record, and what a record may not hold."""

import pytest

from reparam_suite.models import GaussianVAE
from reparam_suite.running.resuming import found_run, from_record, resumed_arguments
from reparam_suite.runtime.errors import NotAllowedError, NotOnRecordError, UsageError
from reparam_suite.tracking import TrackingSettings

MODEL = {"class_path": "reparam_suite.models.GaussianVAE", "init_args": {"event_shape": [4], "latent_size": 2}}


def test_a_part_is_made_from_the_record_when_it_is_called():
    made = from_record(MODEL, "model", "1", allow=())
    assert made.description == MODEL
    model = made()
    assert type(model) is GaussianVAE
    assert (model.event_shape, model.latent_size) == ((4,), 2)


def test_a_part_that_is_not_on_record_whole_is_asked_for():
    opaque = {"class_path": MODEL["class_path"], "init_args": {"encoder": {"opaque": "mine.Net"}}}
    with pytest.raises(NotOnRecordError, match=r"^run 1: model\.encoder \(mine\.Net\) is not on record: give model=$"):
        from_record(opaque, "model", "1", allow=())


def test_a_class_of_another_module_is_not_made_unless_that_is_allowed():
    foreign = {"class_path": "mine.Net", "init_args": {}}
    with pytest.raises(
        NotAllowedError, match=r"^run 1: model: mine\.Net: expected .*: give model=, or allow=\[\.\.\.\]$"
    ):
        from_record(foreign, "model", "1", allow=())
    assert from_record(foreign, "model", "1", allow=["mine"]).description == foreign


@pytest.mark.parametrize("target", ["there/is/none", "none.ckpt"])
def test_a_file_that_is_not_there_is_named(tmp_path, monkeypatch, target):
    monkeypatch.chdir(tmp_path)
    message = f"^resume: expected a run's id or a checkpoint, got {target}, and there is no such file$"
    with pytest.raises(UsageError, match=message):
        found_run(target, TrackingSettings(), allow_changes=False)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_run_is_named_where_there_is_a_store_and_where_there_is_none(tracking, result, tmp_path):
    with pytest.raises(
        UsageError, match=r"there is no run nothing, since there is no sqlite:///.*; tracking.root says"
    ):
        found_run("nothing", TrackingSettings(root=tmp_path / "nowhere"), allow_changes=False)
    assert not (tmp_path / "nowhere").exists()
    found = found_run(result.run_id, tracking, allow_changes=True)
    assert (found.run_id, found.step, found.finished, found.notes) == (result.run_id, 8, True, ())


def test_arguments_are_those_on_record_and_changes_take_their_place(tracking, result):
    arguments = resumed_arguments(result.run_id, allow=(), changes={"tracking": tracking, "max_steps": 20})
    assert (arguments["seed"], arguments["max_steps"], arguments["max_epochs"]) == (3, 20, None)
    assert dict(arguments["tags"]) == {"lesson": "1"}
    assert arguments["record"].every == 4
    assert type(arguments["model"]()) is GaussianVAE
    assert resumed_arguments(result.run_id, allow=(), changes={"tracking": tracking})["max_steps"] == 8
    with pytest.raises(TypeError, match=r"^resume: expected arguments of Run, got max_stepps$"):
        resumed_arguments(result.run_id, allow=(), changes={"tracking": tracking, "max_stepps": 3})
