import re
import zipfile

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
GREY = RNG.integers(0, 256, (40, 5, 2)).astype(np.uint8)


@pytest.mark.parametrize(
    ("array", "observation", "num_features", "image_shape"),
    [
        (REAL, "real", 12, (3, 4)),
        (REAL.astype(np.float32), "real", 12, (3, 4)),
        (REAL.astype(np.float16).reshape(40, 12), "real", 12, None),
        (REAL.astype(">f8"), "real", 12, (3, 4)),
        (BITS, "binary", 6, None),
        (BITS.astype(bool), "binary", 6, None),
        (GREY, "binary", 10, (5, 2)),
        (GREY[..., None], "binary", 10, None),
    ],
    ids=lambda value: f"{value.dtype}-{value.ndim}" if isinstance(value, np.ndarray) else str(value),
)
def test_the_type_says_what_is_observed(write, array, observation, num_features, image_shape):
    module = Arrays(path=write(x_train=array))
    assert (module.observation, module.num_features, module.image_shape) == (observation, num_features, image_shape)
    assert module.name == "Arrays-mine"
    assert module.source == str(module.path)
    module.setup()
    x = rows(module.train_dataloader())
    assert x.shape == (32, num_features)
    assert x.dtype == torch.float32
    assert (observation == "binary") == (set(x.unique().tolist()) == {0, 1})


def test_real_values_arrive_unchanged(write):
    module = loaded(write(x_train=REAL, x_valid=REAL[:7] + 1, x_test=REAL[:5] + 2))
    flat = torch.from_numpy(REAL.reshape(40, 12)).float()
    assert sorted(rows(module.train_dataloader()).tolist()) == sorted(flat.tolist())
    assert torch.equal(rows(module.val_dataloader()), torch.from_numpy(REAL[:7].reshape(7, 12) + 1).float())
    assert torch.equal(rows(module.test_dataloader()), torch.from_numpy(REAL[:5].reshape(5, 12) + 2).float())
    assert torch.allclose(module.train_mean, flat.mean(0), atol=1e-6)
    assert module.sizes == {"train": 40, "valid": 7, "test": 5}


def test_bits_arrive_unchanged_and_grey_values_are_intensities(write):
    bits = loaded(write(x_train=BITS))
    assert sorted(rows(bits.train_dataloader()).tolist()) == sorted(BITS[np.arange(40) % 10 < 8].tolist())
    grey = loaded(write(x_train=GREY))
    intensities = GREY[np.arange(40) % 10 < 8].reshape(32, 10).mean(0) / 255
    assert torch.allclose(grey.train_mean, torch.tensor(intensities, dtype=torch.float32), atol=1e-6)


def test_any_value_above_1_makes_uint8_grey(write):
    module = loaded(write(x_train=BITS * 2, x_valid=np.full((100, 6), 2, np.uint8)))
    assert rows(module.val_dataloader()).mean() < 0.1
    assert torch.allclose(module.train_mean * 255 / 2, torch.from_numpy(BITS[np.arange(40) % 10 < 9]).float().mean(0))


def test_one_split_above_1_makes_all_of_them_grey(write):
    # Else the ones of x_valid would mean certainty there and 1/255 elsewhere.
    module = loaded(write(x_train=GREY, x_valid=GREY[:9] * 0 + 1, x_test=GREY[:9] * 0 + 255))
    assert rows(module.val_dataloader()).mean() < 0.2
    assert rows(module.test_dataloader()).eq(1).all()


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
    assert loaded(write(x_train=REAL.reshape(40, 12))).digest == one  # flattened in any case


def test_labels_and_other_arrays_are_left_alone(write):
    assert loaded(write(x_train=BITS, y_train=np.array(["a"] * 40), note=np.array("mine"))).sizes["train"] == 32


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": BITS}, "mine.npz holds images; accepted are x_train (required), x_valid and x_test"),
        ({"x_train": BITS, "x_val": BITS}, "mine.npz holds x_train, x_val; accepted are"),
        ({"x_train": BITS.astype(int)}, "x_train is of type int64; accepted are bool, uint8 and floating point"),
        ({"x_train": BITS.astype(complex)}, "x_train is of type complex128; accepted are"),
        ({"x_train": np.array([["a", "b"]])}, "x_train is of type <U1; accepted are"),
        ({"x_train": np.array([[None, {}]])}, "x_train is of type object; accepted are"),
        ({"x_train": np.zeros(7)}, "x_train has shape (7,); accepted is [N, ...]"),
        ({"x_train": np.zeros((7, 0))}, "x_train has shape (7, 0); accepted is [N, ...] with nothing empty"),
        ({"x_train": np.zeros((0, 7))}, "x_train has shape (0, 7); accepted is"),
        ({"x_train": np.zeros((9, 2))}, "x_train has 9 rows, too few to take validation and test rows from"),
        ({"x_train": REAL, "x_test": REAL[:, :2]}, "x_test is float64 (40, 2, 4), but x_train is float64 (40, 3, 4)"),
        ({"x_train": REAL, "x_test": REAL.astype("f4")}, "x_test is float32 (40, 3, 4), but x_train is float64"),
        ({"x_train": REAL, "x_valid": REAL[:0]}, "x_valid has shape (0, 3, 4); accepted is"),
        ({"x_train": np.where(np.arange(20)[:, None] == 13, np.nan, 0)}, "x_train has NaN or infinity in row 13"),
        ({"x_train": REAL, "x_test": REAL * np.inf}, "x_test has NaN or infinity in row 0"),
        ({"x_train": np.full((20, 2), 1e300)}, "x_train has NaN or infinity in row 0; accepted are finite float32"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_anything_else_is_refused_by_name(write, arrays, message):
    with pytest.raises(DataError, match=re.escape(message)):
        loaded(write(**arrays))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist; accepted is an .npz file"),
        (b"", "cannot be read as an .npz file"),
        (b"x_train,x_test\n1,2\n", "cannot be read as an .npz file"),
        (b"\x93NUMPY\x01\x00", "cannot be read as an .npz file"),
    ],
    ids=["absent", "empty", "text", "npy"],
)
def test_what_is_no_npz_file_is_refused(tmp_path, content, message):
    path = tmp_path / "mine.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=f"{path} {message}"):
        Arrays(path=path)


def test_a_directory_is_refused(tmp_path):
    with pytest.raises(DataError, match=f"{tmp_path} cannot be read as an .npz file"):
        Arrays(path=tmp_path)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_damaged_file_is_never_taken_for_another(tmp_path, compressed):
    path = tmp_path / "mine.npz"
    (np.savez_compressed if compressed else np.savez)(path, x_train=GREY, x_valid=GREY, x_test=GREY)
    whole = path.read_bytes()
    digest = loaded(path).digest
    refusals = []
    for cut in range(0, len(whole), 37):
        path.write_bytes(whole[:cut])
        with pytest.raises(DataError, match=str(path)):
            loaded(path)
    path.write_bytes(whole)
    with zipfile.ZipFile(path) as file:
        end = file.start_dir  # zipfile does not check the directory that follows, only that names agree with it
    for place in range(0, end, 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            # Some bytes of a zip file, such as dates, mean nothing to us.
            assert loaded(path).digest == digest
        except DataError as error:
            refusals.append(str(error))
    assert len(refusals) > 100
    assert all(str(path) in refusal for refusal in refusals)


def test_a_file_changed_after_construction_is_checked_again(write):
    module = Arrays(path=write(x_train=BITS))
    write(x_train=REAL)
    with pytest.raises(DataError, match=r"mine\.npz"):
        module.setup()
