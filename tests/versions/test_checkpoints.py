"""Checkpoints of earlier formats."""

import pytest
import torch

from reparam_suite.training import read_checkpoint
from reparam_suite.training.checkpoint_files import FORMAT
from reparam_suite.training.errors import CheckpointError
from reparam_suite.versions import PRESENT, is_earlier_checkpoint, present_checkpoint
from reparam_suite.versions.errors import EarlierVersionError


def test_the_last_step_leads_to_the_present_format():
    assert PRESENT == FORMAT


def test_a_checkpoint_has_the_parts_of_the_present_format(recorded):
    found = present_checkpoint(recorded.content("discrete"))
    header = found["reparam_suite"]
    assert (header["format"], header["version"]) == (PRESENT, "0.1.0")
    assert header["run_id"] == recorded.run_id("discrete")
    assert header["data"]["class_path"] == "reparam_suite.data.Digits"
    assert found["state_dict"]["_extra_state"].item() == found["global_step"] == 20
    assert found["hyper_parameters"] == {
        "_class_path": header["model"]["class_path"],
        **header["model"]["init_args"],
    }
    assert not is_earlier_checkpoint(found)
    assert present_checkpoint(found) is found


@pytest.mark.parametrize("content", [None, {}, {"reparam_suite": 3}, {"reparam_suite": {"format": [2]}}, {"a": 2}])
def test_other_content_is_of_no_earlier_format(content):
    assert not is_earlier_checkpoint(content)


@pytest.mark.parametrize(
    "part", ["state_dict", "callbacks", "hyper_parameters", "optimizer_states", "global_step", "reparam_suite.data"]
)
def test_a_part_that_is_missing_is_named(recorded, part):
    content = recorded.content("gaussian")
    owner = content["reparam_suite"] if "." in part else content
    del owner[part.rpartition(".")[2]]
    with pytest.raises(EarlierVersionError, match=f"got KeyError.'{part.rpartition('.')[2]}'"):
        present_checkpoint(content)


@pytest.mark.parametrize("number", [1, 3, 5])
def test_formats_that_no_version_wrote_are_refused(recorded, tmp_path, number):
    content = recorded.content("gaussian")
    content["reparam_suite"]["format"] = number
    torch.save(content, tmp_path / "last.ckpt")
    with pytest.raises(CheckpointError, match=f"expected format 4, got {number}, written by reparam_suite 0.1.0"):
        read_checkpoint(tmp_path / "last.ckpt")
