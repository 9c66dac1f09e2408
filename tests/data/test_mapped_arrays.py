"""Mapped arrays: the batches of arrays in memory, and no copy of the file."""

import tracemalloc

import numpy as np
import pytest
import torch

from reparam_suite.data import Arrays, ArraysInMemory, DataError, MappedArrays


@pytest.fixture
def mapped(tmp_path) -> np.memmap:
    """Colour images of 2 x 2 pixels, [90, 3, 2, 2], which may be written to."""
    rows = np.random.default_rng(2).integers(0, 256, (90, 3, 2, 2), dtype=np.uint8)
    np.save(tmp_path / "x.npy", rows)
    return np.load(tmp_path / "x.npy", mmap_mode="r+")


def test_batches_are_those_of_arrays_in_memory(mapped):
    """Of parts of one file, some rows of which are in memory."""
    given = {"train": mapped[:70], "valid": mapped[70:80], "test": np.array(mapped[80:])}
    data = Arrays.of(**given, batch_size=20, seed=4, name="mine")
    memory = Arrays.of(**{split: np.array(rows) for split, rows in given.items()}, batch_size=20, seed=4)
    assert (type(data), type(memory)) == (MappedArrays, ArraysInMemory)
    for _ in range(2):  # epochs
        pairs = zip(data.train_dataloader(), memory.train_dataloader(), strict=True)
        assert all(torch.equal(ours, theirs) for ours, theirs in pairs)
    for split in given:
        assert torch.equal(torch.cat(list(data.undivided(split))), torch.cat(list(memory.undivided(split))))
    assert (data.kind, data.event_shape, data.num_rows) == (memory.kind, memory.event_shape, memory.num_rows)
    assert (data.name, data.levels, data.resumes) == ("mine", 255, "bitwise")


def test_rows_stay_where_they_are(mapped):
    data = Arrays.of(train=mapped, valid=mapped[:9], batch_size=90)
    mapped[:] = 255
    assert data.sample_batch().eq(1.0).all()


def test_no_more_than_what_is_read_is_copied(tmp_path):
    """64 MiB, all of it holes."""
    path = tmp_path / "large.npy"
    large = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(2**16, 1024))
    tracemalloc.start()
    try:
        data = Arrays.of(train=large, valid=large[:100], kind="grey", batch_size=512)
        for _ in data.train_dataloader():
            pass
        _ = data.digest, data.train_mean, data.sample_batch()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**24


def test_what_does_not_fit_is_refused_at_construction(mapped):
    with pytest.raises(DataError, match=r"^mine: valid: expected rows \[3, 2, 2\] of uint8 like train's, got \[2, 2\]"):
        Arrays.of(train=mapped, valid=mapped[:, 0], name="mine")
    with pytest.raises(TypeError, match=r"^valid: expected a numpy array or a tensor, got NoneType$"):
        Arrays.of(train=mapped, valid=None)
    with pytest.raises(DataError, match=r'^mine: kind "binary": expected 0 and 1'):
        Arrays.of(train=mapped, valid=mapped, name="mine", kind="binary")
    with pytest.raises(DataError, match=r"^arrays: train: expected rows in C order, got columns: save np"):
        Arrays.of(train=mapped.T, valid=mapped.T)
