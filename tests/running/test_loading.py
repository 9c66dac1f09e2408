"""Models loaded from the record of a run, and what a record may name."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tests.launching import undrawn
from tests.running.models import Regression, gaussian, short

from reparam_suite import Run, load
from reparam_suite.data import Digits
from reparam_suite.estimators import Pathwise
from reparam_suite.tracking import TrackingSettings
from reparam_suite.training import CheckpointFiles


@pytest.fixture(scope="module", autouse=True)
def _undrawn() -> Iterator[None]:
    with undrawn():
        yield


def test_a_model_is_loaded_from_its_record(result, tracking):
    state = torch.get_rng_state()
    model = load(result.run_id, tracking=tracking)
    assert torch.equal(state, torch.get_rng_state())
    assert type(model) is type(result.model)
    assert not model.training
    for name, value in result.model.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name


def test_a_model_is_loaded_from_the_store_where_its_files_are_gone(result, tracking, tmp_path):
    directory = tracking.root / "checkpoints" / result.run_id
    moved = directory.rename(tmp_path / "moved")
    try:
        model = load(result.run_id, tracking=tracking)
    finally:
        moved.rename(directory)
    assert torch.equal(model.posterior.network[0].weight, result.model.posterior.network[0].weight)


def test_a_class_of_another_module_is_made_only_if_that_is_allowed(regression, tracking):
    with pytest.raises(
        ValueError, match=r"model: tests\.running\.models\.Regression: expected a class of reparam_suite"
    ):
        load(regression.run_id, tracking=tracking)
    allowed = load(regression.run_id, tracking=tracking, allow=["tests.running.models"])
    given = load(regression.run_id, tracking=tracking, model=lambda: Regression(Pathwise()))
    for name, value in regression.model.state_dict().items():
        assert torch.equal(value, allowed.state_dict()[name])
        assert torch.equal(value, given.state_dict()[name])


def test_parts_that_are_not_on_record_are_asked_for(tracking):
    def with_a_network():
        return gaussian(encoder=torch.nn.Sequential(torch.nn.Linear(64, 6)))

    result = Run(with_a_network, Digits(), **short(tracking, max_steps=1)).fit()
    message = r"model\.encoder \(torch\.nn\.modules\.container\.Sequential\) is not on record: give model="
    with pytest.raises(ValueError, match=message):
        load(result.run_id, tracking=tracking)
    with pytest.raises(ValueError, match=message):
        Run.resume(result.run_id, tracking=tracking)
    loaded = load(result.run_id, tracking=tracking, model=with_a_network)
    assert torch.equal(loaded.posterior.network[0].weight, result.model.posterior.network[0].weight)


def test_an_unknown_run_or_another_architecture_is_refused(result, tracking, tmp_path):
    with pytest.raises(ValueError, match=r"load: expected the id of a run under .*, got nothing"):
        load("nothing", tracking=TrackingSettings(root=tmp_path))
    with pytest.raises(
        ValueError, match=r"another architecture: posterior\.network\.0\.weight is \[8, 64\] there, \[5, 64\]"
    ):
        load(result.run_id, tracking=tracking, model=lambda: gaussian(hidden_sizes=(5,)))


def test_a_record_that_names_a_class_of_another_module_imports_nothing(result, tracking, tmp_path, monkeypatch):
    (tmp_path / "strange.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Strange: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    path = Path(tracking.root) / "checkpoints" / result.run_id / "best.ckpt"
    kept = path.read_bytes()
    content = torch.load(path, weights_only=True)
    content["reparam_suite"]["model"]["init_args"]["objective"] = {"class_path": "strange.Strange", "init_args": {}}
    CheckpointFiles().save_checkpoint(content, path)
    try:
        with pytest.raises(ValueError, match=r"strange\.Strange: expected a class of reparam_suite"):
            load(result.run_id, tracking=tracking)
    finally:
        path.write_bytes(kept)
    assert not (tmp_path / "ran").exists()
