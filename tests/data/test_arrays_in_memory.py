import itertools
import re

import numpy as np
import pytest
import torch

from reparam_suite.data import Arrays, DataError

RNG = np.random.default_rng(4)
REAL = RNG.normal(size=(23, 1, 4, 2))
COUNTS = RNG.poisson(3.0, (23, 20))
GREY = RNG.integers(0, 256, (23, 1, 4, 4)).astype(np.uint8)


def arrays(x, **options):
    return Arrays.of(**{"train": x, "valid": x[:7], "test": x[:5]} | options)


def rows(loader) -> torch.Tensor:
    return torch.cat(list(loader))


@pytest.mark.parametrize(
    "x",
    [
        REAL,
        REAL.astype(np.float32),
        REAL.astype(np.float16),
        REAL.astype(">f8"),
        REAL[::-1],
        torch.tensor(REAL),
        torch.tensor(REAL, dtype=torch.bfloat16),
        torch.tensor(REAL, requires_grad=True),
        COUNTS,
        COUNTS.astype(np.uint16),
        torch.tensor(COUNTS),
        COUNTS > 3,
        torch.tensor(COUNTS > 3),
        (COUNTS > 3) * 1.0,
    ],
    ids=lambda x: f"{type(x).__name__}-{x.dtype}",
)
def test_arrays_and_tensors_of_any_numbers_give_float32_batches_of_their_values(x):
    data = arrays(x, batch_size=6)
    expected = (x.detach() if isinstance(x, torch.Tensor) else torch.from_numpy(x.astype(np.float64))).float()
    x = rows(data.train_dataloader())
    assert x.dtype == torch.float32
    assert x.shape == expected.shape
    assert sorted(x.tolist()) == sorted(expected.tolist())
    assert torch.equal(rows(data.val_dataloader()), expected[:7])
    assert torch.equal(rows(data.undivided("test")), expected[:5])
    assert torch.allclose(data.train_mean, expected.mean(0), atol=1e-6)
    assert data.event_shape == expected.shape[1:]
    assert data.num_rows == {"train": 23, "valid": 7, "test": 5}


@pytest.mark.parametrize(
    ("x", "kind"),
    [
        (REAL, "real"),
        (COUNTS, "count"),
        (COUNTS - 4, "real"),
        (COUNTS > 3, "binary"),
        ((COUNTS > 3) * 1.0, "binary"),
        (GREY, "grey"),
        (GREY / 255, "grey"),
        ((GREY / 255).reshape(23, 16), "real"),
        (GREY.reshape(23, 16), "grey"),
        (np.repeat(GREY, 3, 1), "colour"),
        (np.repeat(GREY, 3, 1) / 255, "colour"),
        (np.repeat(GREY.reshape(23, 4, 4, 1), 3, 3), "colour"),
    ],
)
def test_what_arrays_are_taken_for(x, kind):
    data = arrays(x)
    assert data.kind == kind
    assert arrays(x, kind=kind).digest == data.digest


def test_bytes_are_intensities_and_nothing_is_binarized():
    data = arrays(GREY)
    assert data.image_shape == (1, 4, 4)
    assert torch.equal(rows(data.val_dataloader()), torch.from_numpy(GREY[:7]).float() / 255)
    assert sorted(rows(data.train_dataloader()).tolist()) == sorted((torch.from_numpy(GREY).float() / 255).tolist())
    with pytest.raises(DataError, match=re.escape('arrays: kind "binary": expected 0 and 1, got values up to')):
        arrays(GREY, kind="binary")


def test_without_test_rows_there_is_no_test_split():
    data = Arrays.of(train=REAL, valid=REAL[:7], name="mine")
    assert data.num_rows == {"train": 23, "valid": 7}
    assert [data.has(split) for split in ("train", "valid", "test")] == [True, True, False]
    for ask in (data.test_dataloader, lambda: data.sample_batch("test"), lambda: data.undivided("test")):
        with pytest.raises(DataError, match="mine: expected one of its splits train, valid, got test"):
            ask()


def test_the_data_set_keeps_what_it_was_given():
    x = REAL.astype(np.float32)
    data = arrays(x, batch_size=30)
    before, digest = data.sample_batch(), data.digest
    x[:] = 0
    assert torch.equal(data.sample_batch(), before)
    assert arrays(REAL).digest == digest
    assert arrays(REAL, seed=5, name="other", batch_size=2).digest == digest
    assert arrays(REAL + 1).digest != digest
    assert arrays(REAL, test=None).digest != digest


@pytest.mark.parametrize("taken", [0, 3, 4, 9])
def test_a_resumed_run_gets_the_batches_that_remain(taken):
    def forever(data):
        return itertools.chain.from_iterable(itertools.repeat(data.train_dataloader()))

    whole = list(itertools.islice(forever(arrays(REAL, batch_size=6, seed=3)), 12))
    stopped = arrays(REAL, batch_size=6, seed=3)
    list(itertools.islice(forever(stopped), taken))
    resumed = arrays(REAL, batch_size=6)
    resumed.begin(3)
    resumed.load_state_dict(stopped.state_dict())
    rest = list(itertools.islice(forever(resumed), 12 - taken))
    assert all(map(torch.equal, rest, whole[taken:]))
    assert resumed.resumes == "bitwise"


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"train": [[1.0]]}, TypeError, "train: expected a numpy array or a tensor, got list"),
        ({"valid": None}, TypeError, "valid: expected a numpy array or a tensor, got NoneType"),
        ({"name": ""}, ValueError, "name: expected a printable name, got ''"),
        ({"name": 3}, TypeError, "name: expected a string, got 3"),
        ({"batch_size": 0}, ValueError, "batch_size: expected an integer of at least 1, got 0"),
        ({"seed": -1}, ValueError, "seed: expected an integer of at least 0, got -1"),
        ({"kind": "counts"}, ValueError, 'kind: expected "binary", "grey", "colour", "real" or "count", got'),
        ({"valid": REAL[:, 0]}, DataError, "arrays: valid: expected rows [1, 4, 2] of float like train's, got [4, 2]"),
        (
            {"test": REAL > 0},
            DataError,
            "arrays: test: expected rows [1, 4, 2] of float like train's, got [1, 4, 2] of b",
        ),
        (
            {"train": REAL[:0]},
            DataError,
            "arrays: train: expected a shape [N, ...] with nothing empty, got (0, 1, 4, 2)",
        ),
        ({"train": REAL * 1j}, DataError, "arrays: train: expected bool, integers or floating point, got complex128"),
        (
            {"valid": REAL * np.nan},
            DataError,
            "arrays: valid: expected finite float32 values, got NaN or infinity in row 0",
        ),
        ({"test": (REAL > 0) * 1.0}, DataError, "arrays: expected 0 and 1 in every split or in none, got train float"),
    ],
)
def test_anything_else_is_refused_at_construction(options, kind, message):
    with pytest.raises(kind, match=re.escape(message)):
        arrays(REAL, **options)


def test_numbers_near_the_end_of_float32_have_a_finite_mean():
    large = np.abs(REAL) * 1e38 + 1e38
    large[large > 3e38] = 3e38
    data = arrays(large)
    assert torch.isfinite(data.train_mean).all()
    assert torch.allclose(data.train_mean.double(), torch.from_numpy(large.mean(0)), rtol=1e-6)
