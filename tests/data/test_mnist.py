"""The split of the 60,000 training images, on a small file of the same arrays."""

import gzip

import numpy as np
import pytest
import torch
from tests.data.server import RNG, idx, offer, same

from reparam_suite.data import MNIST, BinarizedMNIST, DataError, FashionMNIST


def test_the_last_training_images_validate(small_mnist):
    data = MNIST(root=small_mnist, binarization="none")
    assert data.num_rows == {"train": 200, "valid": 100, "test": 60}


def test_without_holding_out_all_images_train_and_the_last_still_validate(small_mnist):
    held_out, data = (
        MNIST(root=small_mnist, binarization="none", hold_out=hold_out, batch_size=300) for hold_out in (True, False)
    )
    assert data.num_rows == {"train": 300, "valid": 100, "test": 60}
    train, valid = (torch.cat(list(data.undivided(split))) for split in ("train", "valid"))
    assert torch.equal(train[200:], valid)
    assert torch.equal(valid, torch.cat(list(held_out.undivided("valid"))))
    assert data.digest != held_out.digest


def test_binarized_mnist_is_read_from_its_text(server, monkeypatch, tmp_path):
    shapes = {"x_train": (6, 28, 28), "x_valid": (3, 28, 28), "x_test": (2, 28, 28)}
    arrays = {key: RNG.integers(0, 2, shape).astype(np.uint8) for key, shape in shapes.items()}
    texts = ["".join(" ".join(map(str, row)) + "\n" for row in x.reshape(-1, 784).tolist()) for x in arrays.values()]
    offer(BinarizedMNIST, server, monkeypatch, [text.encode() for text in texts], shapes)
    module = BinarizedMNIST(root=tmp_path, batch_size=6)
    module.prepare_data()
    module.setup()
    assert same(BinarizedMNIST.archive.read(tmp_path), arrays)
    (x,) = module.train_dataloader()
    assert sorted(x.tolist()) == sorted(arrays["x_train"].reshape(6, 784).tolist())


def test_binarized_mnist_of_grey_values_is_refused(server, monkeypatch, tmp_path):
    shapes = {"x_train": (1, 28, 28), "x_valid": (1, 28, 28), "x_test": (1, 28, 28)}
    offer(BinarizedMNIST, server, monkeypatch, [b"", b"", b""], shapes)
    np.savez(tmp_path / BinarizedMNIST.archive.file, **{key: np.full((1, 28, 28), 7, np.uint8) for key in shapes})
    with pytest.raises(DataError, match=r"larochelle\.npz: x_train: expected 0 and 1, got values up to 7"):
        BinarizedMNIST(root=tmp_path).setup()


def test_fashion_mnist_is_read_as_mnist_is(server, monkeypatch, tmp_path):
    shapes = {"x_train": (6, 28, 28), "y_train": (6,), "x_test": (4, 28, 28), "y_test": (4,)}
    arrays = {key: RNG.integers(0, 256, shape).astype(np.uint8) for key, shape in shapes.items()}
    offer(FashionMNIST, server, monkeypatch, [idx(array) for array in arrays.values()], shapes, wrap=gzip.compress)
    FashionMNIST(root=tmp_path).prepare_data()
    assert same(FashionMNIST.archive.read(tmp_path), arrays)
