"""Streamed numbers: their kind by their values, or as it is stated, and values that have none."""

import numpy as np
import pytest
import torch

from reparam_suite.data import Arrays, DataError, StreamedArrays


def streamed(x: np.ndarray, folder, *, mapped: bool, **options):
    np.save(folder / "x.npy", x)
    if not mapped:
        return StreamedArrays(train=folder / "x.npy", **options)
    rows = np.load(folder / "x.npy", mmap_mode="r")
    return Arrays.of(train=rows, valid=rows[:4], **options)


@pytest.mark.parametrize("mapped", [False, True], ids=["file", "mapped"])
@pytest.mark.parametrize(
    ("dtype", "kind"), [("float64", "real"), (">f4", "real"), ("int32", "count"), ("bool", "binary")]
)
def test_other_types_are_float32(tmp_path, dtype, kind, mapped):
    rows = (np.arange(60).reshape(20, 3) % (2 if dtype == "bool" else 7)).astype(dtype)
    data = streamed(rows, tmp_path, mapped=mapped, batch_size=30)
    (x,) = data.train_dataloader()
    assert (data.kind, x.dtype) == (kind, torch.float32)
    left = rows if mapped else np.delete(rows, [8, 9, 18, 19], 0)
    assert sorted(x.tolist()) == sorted(left.astype(np.float32).tolist())


@pytest.mark.parametrize("mapped", [False, True], ids=["file", "mapped"])
def test_a_kind_is_stated_or_refused(tmp_path, mapped):
    rows = np.arange(60, dtype=np.uint8).reshape(20, 3)
    counts = streamed(rows, tmp_path, mapped=mapped, kind="count")
    assert (counts.kind, counts.divisor) == ("count", None)
    with pytest.raises(DataError, match=r'expected uint8 of 0 and 1, or intensities .* state what they hold: kind="gr'):
        _ = streamed(rows, tmp_path, mapped=mapped).kind
    with pytest.raises(DataError, match='kind "colour": expected rows'):
        _ = streamed(rows, tmp_path, mapped=mapped, kind="colour").kind
    with pytest.raises(DataError, match='kind "binary": expected 0 and 1, got values up to 59'):
        _ = streamed(rows, tmp_path, mapped=mapped, kind="binary").kind
    with pytest.raises(ValueError, match=r"^kind: expected"):
        streamed(rows, tmp_path, mapped=mapped, kind="bits")
