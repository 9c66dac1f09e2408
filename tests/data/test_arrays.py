import re

import numpy as np
import pytest
import torch

from reparam_suite.data import Arrays, DataError


@pytest.fixture
def write(tmp_path):
    def write_arrays(**arrays):
        path = tmp_path / "mine.npz"
        np.savez(path, **arrays)
        return path

    return write_arrays


def loaded(path, **options) -> Arrays:
    module = Arrays(path=path, **options)
    module.setup()
    return module


def rows(loader) -> torch.Tensor:
    return torch.cat(list(loader))


RNG = np.random.default_rng(11)


REAL = RNG.normal(size=(40, 3, 4))


BITS = RNG.integers(0, 2, (40, 6)).astype(np.uint8)


COUNTS = RNG.poisson(3.0, (40, 7))


COLOUR = RNG.integers(0, 256, (40, 3, 4, 4)).astype(np.uint8)


GREY = RNG.integers(0, 256, (40, 5, 2)).astype(np.uint8)


@pytest.mark.parametrize(
    ("array", "kind", "image_shape"),
    [
        (REAL, "real", (3, 4)),
        (REAL.astype(np.float32), "real", (3, 4)),
        (REAL.astype(np.float16).reshape(40, 12), "real", None),
        (REAL.astype(">f8"), "real", (3, 4)),
        (BITS, "binary", None),
        (BITS.astype(bool), "binary", None),
        (BITS.astype(np.int64), "binary", None),
        (BITS.astype(np.float64), "binary", None),
        (GREY, "binary", (5, 2)),
        (GREY[:, None], "binary", (1, 5, 2)),
        (GREY[..., None], "binary", None),
        (COUNTS, "count", None),
        (COUNTS.astype(np.uint32), "count", None),
        (COLOUR, "colour", (3, 4, 4)),
        (COLOUR.transpose(0, 2, 3, 1), "colour", None),
    ],
    ids=lambda value: f"{value.dtype}-{value.shape}" if isinstance(value, np.ndarray) else str(value),
)
def test_type_shape_and_values_say_what_the_rows_are(write, array, kind, image_shape):
    module = Arrays(path=write(x_train=array))
    assert (module.kind, module.event_shape, module.image_shape) == (kind, array.shape[1:], image_shape)
    assert module.name == "Arrays-mine"
    assert module.source == str(module.path)
    x = rows(module.train_dataloader())
    assert x.shape == (32, *array.shape[1:])
    assert x.dtype == torch.float32
    assert (kind == "binary") == (set(x.unique().tolist()) == {0, 1})


def test_colour_is_handed_over_as_intensities(write):
    module = loaded(write(x_train=COLOUR, x_valid=COLOUR[:7], x_test=COLOUR[:5]))
    assert torch.equal(rows(module.val_dataloader()), torch.from_numpy(COLOUR[:7]).float() / 255)
    assert module.train_mean.shape == (3, 4, 4)


@pytest.mark.parametrize("array", [COUNTS, COUNTS * 1_000], ids=["bytes", "larger"])
def test_counts_stay_counts(write, array):
    module = loaded(write(x_train=array, x_valid=array[:9]))
    assert module.kind == "count"
    assert torch.equal(rows(module.val_dataloader()), torch.from_numpy(array[:9]).float())
    expected = torch.from_numpy(array[np.arange(40) % 10 < 9]).double().mean(0)
    assert torch.allclose(module.train_mean.double(), expected)


@pytest.mark.parametrize(
    ("kind", "array", "batch"),
    [
        ("grey", GREY, GREY / 255),
        ("grey", BITS * 2, BITS * 2 / 255),
        ("count", BITS * 16, BITS * 16.0),
        ("real", GREY, GREY * 1.0),
        ("real", BITS, BITS * 1.0),
        ("binary", BITS * 255, BITS * 1.0),
        ("grey", GREY / 255, GREY / 255),
        ("colour", COLOUR, COLOUR / 255),
        ("count", COUNTS.astype(float), COUNTS * 1.0),
    ],
)
def test_an_option_states_what_the_arrays_hold(write, kind, array, batch):
    module = loaded(write(x_train=array, x_valid=array[:9]), kind=kind)
    assert module.kind == kind
    assert torch.allclose(rows(module.val_dataloader()), torch.from_numpy(batch[:9]).float())
    again = loaded(write(x_train=array, x_valid=array[:9]), kind=module.kind)
    assert torch.equal(again.sample_batch(), module.sample_batch())


def test_real_values_arrive_unchanged(write):
    module = loaded(write(x_train=REAL, x_valid=REAL[:7] + 1, x_test=REAL[:5] + 2))
    x = torch.from_numpy(REAL).float()
    assert sorted(rows(module.train_dataloader()).tolist()) == sorted(x.tolist())
    assert torch.equal(rows(module.val_dataloader()), torch.from_numpy(REAL[:7] + 1).float())
    assert torch.equal(rows(module.test_dataloader()), torch.from_numpy(REAL[:5] + 2).float())
    assert torch.allclose(module.train_mean, x.mean(0), atol=1e-6)
    assert module.num_rows == {"train": 40, "valid": 7, "test": 5}


def test_bits_arrive_unchanged_and_grey_values_are_intensities(write):
    bits = loaded(write(x_train=BITS))
    assert sorted(rows(bits.train_dataloader()).tolist()) == sorted(BITS[np.arange(40) % 10 < 8].tolist())
    grey = loaded(write(x_train=GREY))
    intensities = GREY[np.arange(40) % 10 < 8].mean(0) / 255
    assert torch.allclose(grey.train_mean, torch.tensor(intensities, dtype=torch.float32), atol=1e-6)


@pytest.mark.parametrize(
    "arrays",
    [
        {"x_train": BITS, "x_test": BITS * 255},
        {"x_train": BITS * 255, "x_valid": BITS},
        {"x_train": GREY, "x_valid": GREY[:9] * 0 + 1, "x_test": GREY},
        {"x_train": BITS.astype(float), "x_test": BITS * 255.0},
        {"x_train": BITS.astype(int), "x_test": BITS.astype(int) * 255},
        {"x_train": REAL, "x_test": (REAL > 0) * 1.0},
    ],
)
def test_splits_that_contradict_each_other_are_refused(write, arrays):
    path = write(**arrays)
    with pytest.raises(DataError) as error:
        Arrays(path=path).setup()
    message = str(error.value)
    assert message.startswith(f"{path}: expected 0 and 1 in every split or in none, got x_train ")
    assert all(key in message for key in arrays)
    assert 'kind="grey"' in message
    assert any(found in message.partition("got")[2] for found in (" of 0 and 1", " of 1 alone"))
    assert Arrays(path=path, kind="real").kind == "real"


@pytest.mark.parametrize(
    ("array", "found"), [(BITS * 2, "from 0 to 2"), (GREY // 16, "from 0 to 15"), (GREY // 16 + 1, "from 1 to 16")]
)
def test_uint8_that_is_neither_binary_nor_reaches_255_is_refused(write, array, found):
    path = write(x_train=array, x_test=GREY.reshape(40, -1)[:, : array[0].size].reshape(-1, *array.shape[1:]))
    message = f"{path}: expected uint8 of 0 and 1, or intensities that reach 128 to 255 in every split, got "
    with pytest.raises(DataError, match=re.escape(f"{message}x_train uint8 {found}; x_test uint8 from 0 to 25")):
        Arrays(path=path).setup()


def test_black_images_fit_every_kind(write):
    assert Arrays(path=write(x_train=BITS, x_test=BITS[:2] * 0)).kind == "binary"
    assert Arrays(path=write(x_train=GREY, x_test=GREY[:2] * 0), binarization="none").kind == "grey"


@pytest.mark.parametrize(
    ("kind", "array", "message"),
    [
        ("binary", REAL, 'kind "binary": expected 0 and 1, got x_train, float from -'),
        ("grey", REAL, 'kind "grey": expected uint8, or values in [0, 1], got x_train, float from -'),
        ("colour", GREY, 'kind "colour": expected rows [3, H, W] or [H, W, 3], got [5, 2]'),
        ("count", REAL, 'kind "count": expected integers from 0 to 16777216, got x_train, float from -'),
        ("count", COUNTS - 5, 'kind "count": expected integers from 0 to 16777216, got x_train, integer from -5'),
        ("gray", GREY, 'kind: expected "binary", "grey", "colour", "real" or "count", got \'gray\''),
    ],
)
def test_a_statement_that_the_values_contradict_is_refused(write, kind, array, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        loaded(write(x_train=array), kind=kind)


def test_the_summary_says_what_the_rows_are_taken_for(write):
    path = write(x_train=GREY)
    line = "Arrays-mine: binary, drawn in each epoch from grey values 0..255, event shape (5, 2), rows: train 32, "
    assert loaded(path).summary == line + "valid 4, test 4"
    assert loaded(path, binarization="none").summary.startswith("Arrays-mine: grey, event shape")
    assert "drawn once from" in loaded(path, binarization="fixed").summary


@pytest.mark.parametrize(
    "given", [(), ("x_valid",), ("x_test",), ("x_valid", "x_test")], ids=lambda given: "+".join(given)
)
def test_absent_splits_are_taken_from_the_training_rows(write, given):
    numbers = np.arange(40.0)[:, None]
    module = loaded(write(x_train=numbers, **{key: np.full((3, 1), -1.0) for key in given}))
    tenth = np.arange(40) % 10
    own = [-1.0] * 3
    valid = own if "x_valid" in given else numbers[tenth == 8].flatten().tolist()
    test = own if "x_test" in given else numbers[tenth == 9].flatten().tolist()
    train = sorted(set(numbers.flatten()) - set(valid) - set(test))
    assert rows(module.val_dataloader()).flatten().tolist() == valid
    assert rows(module.test_dataloader()).flatten().tolist() == test
    assert sorted(rows(module.train_dataloader()).flatten().tolist()) == train


def test_the_digest_follows_the_content(write):
    one = loaded(write(x_train=REAL)).digest
    assert loaded(write(x_train=REAL), seed=4).digest == one
    changed = REAL.copy()
    changed[-1, -1, -1] += 1
    assert loaded(write(x_train=changed)).digest != one
    assert loaded(write(x_train=REAL.reshape(40, 12))).digest == one, "the digest is of the values, not of their shape"


def test_labels_and_other_arrays_are_left_alone(write):
    assert loaded(write(x_train=BITS, y_train=np.array(["a"] * 40), note=np.array("mine"))).num_rows["train"] == 32


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": BITS}, "mine.npz: expected x_train and, if you like, x_valid and x_test, got images"),
        (
            {"x_train": BITS, "x_val": BITS},
            "mine.npz: expected x_train and, if you like, x_valid and x_test, got x_train, x_val",
        ),
        (
            {"x_train": BITS.astype(int) * 10**8},
            "x_train: expected integers up to 16777216, exact in float32, got 0 to",
        ),
        ({"x_train": BITS.astype(complex)}, "x_train: expected bool, integers or floating point, got complex128"),
        ({"x_train": np.array([["a", "b"]])}, "x_train: expected bool, integers or floating point, got <U1"),
        ({"x_train": np.array([[None, {}]])}, "x_train: expected bool, integers or floating point, got object"),
        ({"x_train": np.zeros(7)}, "x_train: expected a shape [N, ...] with nothing empty, got (7,)"),
        ({"x_train": np.zeros((7, 0))}, "x_train: expected a shape [N, ...] with nothing empty, got (7, 0)"),
        ({"x_train": np.zeros((0, 7))}, "x_train: expected a shape [N, ...] with nothing empty, got (0, 7)"),
        (
            {"x_train": np.zeros((9, 2))},
            "x_train: expected at least 10 rows to take validation and test rows from, got 9",
        ),
        (
            {"x_train": REAL, "x_test": REAL[:, :2]},
            "x_test: expected float64 [N, 3, 4] like x_train, got float64 (40, 2, 4)",
        ),
        (
            {"x_train": REAL, "x_test": REAL.astype("f4")},
            "x_test: expected float64 [N, 3, 4] like x_train, got float32 (40, 3, 4)",
        ),
        (
            {"x_train": REAL, "x_valid": REAL[:0]},
            "x_valid: expected a shape [N, ...] with nothing empty, got (0, 3, 4)",
        ),
        (
            {"x_train": np.where(np.arange(20)[:, None] == 13, np.nan, 0)},
            "x_train: expected finite float32 values, got NaN or infinity in row 13",
        ),
        (
            {"x_train": REAL, "x_test": REAL * np.inf},
            "x_test: expected finite float32 values, got NaN or infinity in row 0",
        ),
        ({"x_train": np.full((20, 2), 1e300)}, "x_train: expected finite float32 values, got NaN or infinity in row 0"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_anything_else_is_refused_by_name(write, arrays, message):
    with pytest.raises(DataError, match=re.escape(message)):
        loaded(write(**arrays))


def test_a_file_changed_after_construction_is_checked_again(write):
    module = Arrays(path=write(x_train=BITS))
    write(x_train=REAL)
    with pytest.raises(DataError, match=r"mine\.npz"):
        module.setup()
