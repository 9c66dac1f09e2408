import hashlib

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from reparam_suite import data
from reparam_suite.data import MNIST, BinarizedMNIST, Digits, FashionMNIST, Omniglot

DOWNLOADED = [MNIST, FashionMNIST, Omniglot, BinarizedMNIST]


def loaded(**options) -> Digits:
    digits = Digits(**options)
    digits.setup()
    return digits


def everything(loader) -> torch.Tensor:
    return torch.cat(list(loader))


@pytest.mark.parametrize("cls", [Digits, *DOWNLOADED], ids=lambda cls: cls.__name__)
def test_what_is_known_before_the_data_is_loaded(cls):
    module = cls()
    assert module.name == cls.__name__
    side = 8 if cls is Digits else 28
    assert module.event_shape == (side**2,)
    assert module.image_shape == (side, side), "flat rows are still shown as images"
    assert module.kind == "binary"
    assert module.resumes == "bitwise"
    assert module.batches_are_on_device


@pytest.mark.parametrize(("cls", "side"), [(Digits, 8), *((cls, 28) for cls in DOWNLOADED)])
def test_the_event_shape_is_any_plain_reshape(cls, side):
    for shape in ((side, side), (1, side, side), [1, side, side], (side**2,), (np.int64(side), 2, side // 2)):
        assert cls(event_shape=shape).event_shape == tuple(shape)
    assert cls(event_shape=(1, side, side)).image_shape == (1, side, side)
    message = rf"event_shape: expected a shape of {side**2} elements, got \({side}, {side + 1}\)"
    with pytest.raises(ValueError, match=message):
        cls(event_shape=(side, side + 1))


@pytest.mark.parametrize("binarization", ["dynamic", "fixed", "none"])
def test_the_event_shape_changes_no_value(binarization):
    flat, image = (loaded(event_shape=shape, binarization=binarization) for shape in ((64,), (1, 8, 8)))
    for name in ("train_dataloader", "val_dataloader", "test_dataloader"):
        for left, right in zip(*(getattr(module, name)() for module in (flat, image)), strict=True):
            assert right.shape[1:] == (1, 8, 8)
            assert torch.equal(left, right.reshape(-1, 64))
    for split in ("train", "valid", "test"):
        assert torch.equal(flat.sample_batch(split), image.sample_batch(split).reshape(-1, 64))
    assert torch.equal(flat.train_mean, image.train_mean.flatten())
    assert image.train_mean.shape == (1, 8, 8)
    assert image.digest == flat.digest


def test_grey_rows_are_handed_over_as_intensities_where_nothing_is_binarized():
    digits = loaded(binarization="none")
    assert digits.kind == "grey"
    source = torch.tensor(load_digits().data, dtype=torch.float32) / 16
    seventh = torch.arange(1797) % 7
    assert torch.equal(everything(digits.val_dataloader()), source[seventh == 5])
    assert torch.equal(everything(digits.undivided("train")), source[seventh < 5])
    assert sorted(everything(digits.train_dataloader()).tolist()) == sorted(source[seventh < 5].tolist())
    assert torch.equal(digits.sample_batch("test"), source[seventh == 6][torch.arange(100) * 256 // 100])
    assert digits.summary == "Digits: grey, event shape (64,), rows: train 1285, valid 256, test 256"


# The first batches at seed 0 and the first of another epoch and seed, as version 0.1.0 gave them.
@pytest.mark.parametrize(
    ("seed", "position", "content"),
    [(0, {"epoch": 0, "batch": 0}, "85b33197a059fe68"), (7, {"epoch": 3, "batch": 2}, "190fc096ca2e6030")],
)
def test_the_batches_of_a_seed_stay_what_they_were(seed, position, content):
    digits = loaded(seed=seed)
    digits.load_state_dict(position)
    batch = next(iter(digits.train_dataloader()))
    assert hashlib.sha256(batch.numpy().tobytes()).hexdigest()[:16] == content


def test_digits_are_split_completely():
    splits = Digits().read()
    source = load_digits().data
    assert [len(x) for x in (splits.train, splits.valid, splits.test)] == [1285, 256, 256]
    # Rows in their old places: nothing lost, nothing twice, even where two images are alike.
    whole = np.empty_like(source)
    place = np.arange(len(source)) % 7
    whole[place < 5], whole[place == 5], whole[place == 6] = splits.train, splits.valid, splits.test
    assert np.array_equal(whole, source)


def test_what_is_known_after_setup():
    digits = loaded()
    source = load_digits().data[np.arange(1797) % 7 < 5] / 16
    assert digits.num_rows == {"train": 1285, "valid": 256, "test": 256}
    assert torch.allclose(digits.train_mean, torch.tensor(source.mean(0), dtype=torch.float32), atol=1e-6)
    assert digits.source == "scikit-learn"
    assert digits.digest == "b63d8c42587d5f3c"
    assert digits.digest == loaded(seed=3, binarization="fixed").digest


@pytest.mark.parametrize("split", ["val", "test"])
def test_evaluation_sets_are_the_same_in_every_run(split):
    def rows(**options):
        return everything(getattr(loaded(**options), f"{split}_dataloader")())

    reference = rows()
    assert set(reference.unique().tolist()) == {0, 1}
    for options in ({"seed": 8}, {"binarization": "fixed"}, {"batch_size": 3}):
        assert torch.equal(rows(**options), reference)
    # Figures of earlier runs compare only as long as this stays as it is.
    content = hashlib.sha256(reference.to(torch.uint8).numpy().tobytes()).hexdigest()[:16]
    assert content == {"val": "bd58480f0001d0cb", "test": "008de0be825ffb4a"}[split]


@pytest.mark.parametrize("cls", DOWNLOADED, ids=lambda cls: cls.__name__)
def test_a_file_that_is_not_there_is_named(cls, tmp_path):
    with pytest.raises(
        data.DataError, match=f"{cls.archive.file}: expected an .npz file, got a path that does not exist"
    ):
        cls(root=tmp_path).setup()
