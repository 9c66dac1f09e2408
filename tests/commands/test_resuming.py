"""`--resume`: a run on record under its own configuration and the options beside it; the record is made up."""

from typing import Any

import pytest
import yaml

from reparam_suite.commands import resuming
from reparam_suite.commands.resuming import resumed_run
from reparam_suite.running.resumption import CONFIG, Resumption
from reparam_suite.runtime.errors import UsageError
from reparam_suite.tracking import TrackingSettings

RUN_ID = "f" * 32
RECORDED: dict[str, Any] = {
    "seed": 5,
    "trainer": {"max_steps": 7},
    "model": {"class_path": "reparam_suite.models.GaussianVAE", "init_args": {"latent_size": 3}},
    "data": {"class_path": "reparam_suite.data.Digits", "init_args": {"batch_size": 50}},
}


@pytest.fixture
def on_record(tmp_path, monkeypatch):
    """Puts a run with some configuration on record; returns where and how it was looked for."""
    asked: list[tuple[str, TrackingSettings]] = []

    def found_run(target, tracking, *, allow_changes):
        asked.append((target, tracking))
        return Resumption(RUN_ID, recorded, None, {}, finished=False, allow_changes=allow_changes, notes=())

    recorded: dict[str, Any] = {}

    def record(**changes: Any) -> list[tuple[str, TrackingSettings]]:
        recorded.update(RECORDED | changes)
        directory = tmp_path / "checkpoints" / RUN_ID
        directory.mkdir(parents=True)
        (directory / CONFIG).write_text(yaml.safe_dump(recorded))
        return asked

    monkeypatch.setattr(resuming, "found_run", found_run)
    return record


def resumed(tmp_path, *args: str):
    return resumed_run(["--tracking.root", str(tmp_path), *args], RUN_ID)


def test_options_are_those_on_record_and_those_that_are_given_count(on_record, tmp_path):
    asked = on_record()
    options, run = resumed(tmp_path, "--latent_size", "4", "--allow_changes", "true")
    assert asked == [(RUN_ID, TrackingSettings(root=tmp_path))]
    assert (run.seed, run.max_steps) == (5, 7)
    assert options.values.model.init_args.latent_size == 4
    assert run.data().batch_size == 50
    assert (run.resumption.run_id, run.resumption.allow_changes) == (RUN_ID, True)
    assert not resumed(tmp_path)[1].resumption.allow_changes


def test_the_store_is_that_of_the_options_and_files_given_beside_it(on_record, tmp_path):
    asked = on_record()
    file = tmp_path / "more.yaml"
    file.write_text("tracking: {experiment: of the file, uri: null}\n")
    resumed_run(["--config", str(file), f"--tracking.root={tmp_path}"], RUN_ID)
    assert asked == [(RUN_ID, TrackingSettings(root=tmp_path, experiment="of the file"))]


def test_a_class_of_another_module_has_to_be_allowed(on_record, tmp_path, monkeypatch):
    on_record(data={"class_path": "mine_of_a_test.Mine", "init_args": {}})
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "mine_of_a_test.py").write_text(
        "from reparam_suite.data import Digits\nclass Mine(Digits):\n    pass\n"
    )
    with pytest.raises(UsageError) as refused:
        resumed(tmp_path)
    message = str(refused.value)
    assert message.startswith(
        f"--resume: {tmp_path}/checkpoints/{RUN_ID}/config.yaml: mine_of_a_test.Mine: expected a "
    )
    assert message.endswith(", with --allow_modules")
    _, run = resumed(tmp_path, "--allow_modules", "another", "mine_of_a_test")
    assert type(run.data()).__name__ == "Mine"


def test_several_seeds_are_refused(on_record, tmp_path):
    on_record()
    with pytest.raises(UsageError, match=r"^--seeds: a resumed run has the seed that it had$"):
        resumed(tmp_path, "--seeds", "1", "2")
