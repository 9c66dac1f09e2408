"""A checkpoint is data: what was damaged is noticed, and what is foreign is refused, before anything is made of it."""

import os
import pickle
import random
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from reparam_suite.training import HEADER, CheckpointError, CheckpointFiles, DamagedCheckpoint, read_checkpoint
from reparam_suite.training.checkpoint_files import FORMAT

CONTENT = {
    HEADER: {"format": FORMAT, "version": "0.1.0", "run_id": "a" * 32},
    "state_dict": {"weight": torch.arange(400.0).reshape(20, 20), "bias": torch.ones(20)},
    "numbers": [1, 2.5, None, "text", (3, 4)],
}


@pytest.fixture
def path(tmp_path) -> Path:
    file = tmp_path / "last.ckpt"
    CheckpointFiles().save_checkpoint(CONTENT, file)
    return file


def same(found: dict) -> bool:
    weights = all(torch.equal(found["state_dict"][key], value) for key, value in CONTENT["state_dict"].items())
    return weights and all(found[key] == CONTENT[key] for key in (HEADER, "numbers"))


def test_what_was_written_is_read(path):
    assert same(read_checkpoint(path))
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


def test_a_file_that_was_cut_off_anywhere_is_damaged(path):
    whole = path.read_bytes()
    for length in [0, 1, 100, len(whole) // 2, len(whole) - 1, *range(200, len(whole), 97)]:
        path.write_bytes(whole[:length])
        with pytest.raises(DamagedCheckpoint, match=rf"^{path} is damaged: "):
            read_checkpoint(path)


def test_no_bit_that_flips_goes_unnoticed(path):
    """Either it is refused, or it was in the padding and nothing of the content has changed."""
    whole, chance, refused = bytearray(path.read_bytes()), random.Random(0), 0
    for _ in range(1_500):
        position, bit = chance.randrange(len(whole)), 1 << chance.randrange(8)
        whole[position] ^= bit
        path.write_bytes(whole)
        try:
            assert same(read_checkpoint(path)), f"byte {position}, bit {bit}"
        except CheckpointError:
            refused += 1
        whole[position] ^= bit
    assert refused > 500


def test_bytes_that_became_zero_are_noticed(path):
    whole, chance = path.read_bytes(), random.Random(1)
    for _ in range(200):
        start = chance.randrange(len(whole))
        changed = whole[:start] + bytes(min(64, len(whole) - start)) + whole[start + 64 :]
        path.write_bytes(changed)
        with suppress(CheckpointError):
            assert same(read_checkpoint(path))
    path.write_bytes(bytes(len(whole)))
    with pytest.raises(DamagedCheckpoint):
        read_checkpoint(path)


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


CHANGES = {
    "a part that is gone": lambda content: content.pop("numbers"),
    "a part more": lambda content: content.update(more=1),
    "another value": lambda content: content[HEADER].update(run_id="b" * 32),
    "another type": lambda content: content.update(numbers=(None,)),
    "another shape": lambda content: content.update(state_dict={"w": torch.zeros(3)}),
    "without the digest": lambda content: content[HEADER].pop("structure"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_parts_that_were_exchanged_under_right_checksums_are_noticed(tmp_path, what):
    """A moment of another shape than its parameter would be written over the end of its memory."""
    path = tmp_path / "last.ckpt"
    CheckpointFiles().save_checkpoint(CONTENT, path)
    content = torch.load(path, weights_only=True)
    CHANGES[what](content)
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=f"^{path}: expected the parts that a run has written, got others"):
        read_checkpoint(path)
    CheckpointFiles().save_checkpoint(content, path)  # as another version of the suite might have written it
    read_checkpoint(path)


def test_a_file_that_would_run_code_is_refused_and_runs_none(tmp_path):
    trace = tmp_path / "trace"
    evil = Evil(f"touch {trace}")
    path = tmp_path / "evil.ckpt"
    torch.save({**CONTENT, "callbacks": evil}, path)
    with pytest.raises(CheckpointError, match=f"^{path} is refused: it holds more than data, and would run code$"):
        read_checkpoint(path)
    path.write_bytes(pickle.dumps(evil))
    with pytest.raises(CheckpointError):
        read_checkpoint(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(evil))
    with pytest.raises(CheckpointError):
        read_checkpoint(path)
    assert not trace.exists()
    os.system(evil.command)
    assert trace.exists(), "else nothing was tested"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"state_dict": {}}, "expected a checkpoint of a run of reparam_suite, got another file"),
        ([1, 2], "expected a checkpoint of a run of reparam_suite, got another file"),
        (
            {HEADER: {"format": 7, "version": "3.0"}},
            f"expected format {FORMAT}, got 7, written by reparam_suite 3.0",
        ),
    ],
)
def test_what_is_none_of_ours_is_refused_by_name(tmp_path, content, message):
    path = tmp_path / "other.ckpt"
    torch.save(content, path)
    with pytest.raises(CheckpointError) as refused:
        read_checkpoint(path)
    assert str(refused.value) == f"{path}: {message}"
    assert not isinstance(refused.value, DamagedCheckpoint)
