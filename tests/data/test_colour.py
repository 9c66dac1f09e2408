"""CIFAR-10 and SVHN from small files in the official formats, which run no code."""

import gzip
import re

import numpy as np
import pytest
from tests.data.formats import official_files, pickled_by_python_2, svhn_mat, tar_gz
from tests.data.server import RNG, offer, same

from reparam_suite.data import CIFAR10, SVHN, DataError
from reparam_suite.data.colour import _from_batches, _from_mat  # as an archive calls them

SHAPES = {"x_train": (20, 3, 32, 32), "y_train": (20,), "x_test": (3, 3, 32, 32), "y_test": (3,)}


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    return {key: RNG.integers(0, 256 if key[0] == "x" else 10, shape).astype(np.uint8) for key, shape in SHAPES.items()}


@pytest.mark.parametrize("cls", [CIFAR10, SVHN], ids=lambda cls: cls.__name__)
def test_the_official_files_become_colour_images(cls, arrays, server, monkeypatch, tmp_path):
    offer(cls, server, monkeypatch, official_files(cls.__name__, arrays), SHAPES)
    data = cls(root=tmp_path, batch_size=18)
    data.prepare_data()
    assert same(cls.archive.read(tmp_path), arrays)
    assert (data.kind, data.event_shape, data.num_rows) == ("colour", (3, 32, 32), {"train": 18, "valid": 2, "test": 3})
    (x,) = data.train_dataloader()
    rows = np.rint(x.numpy() * 255).astype(np.uint8)
    assert sorted(map(bytes, rows)) == sorted(map(bytes, arrays["x_train"][:18]))
    (valid,) = data.val_dataloader()
    assert np.array_equal(np.rint(valid.numpy() * 255), arrays["x_train"][18:])


@pytest.mark.parametrize("cls", [CIFAR10, SVHN], ids=lambda cls: cls.__name__)
def test_every_official_file_has_its_checksum(cls):
    md5s = {
        CIFAR10: ["c58f30108f718f92721af3b95e74349a"],
        SVHN: ["e26dedcc434d2e4c54c9b2d4a06d8373", "eb5a983be6a315427106f1b164d9cef3"],
    }
    assert [remote.md5 for remote in cls.archive.remotes] == md5s[cls]


def test_an_archive_without_a_batch_and_no_archive_are_refused():
    with pytest.raises(DataError, match=r"tar\.gz: expected a file cifar-10-batches-py/data_batch_1, got none"):
        _from_batches([gzip.decompress(tar_gz({"readme": b""}))])
    with pytest.raises(DataError, match=r"tar\.gz: expected a tar archive, got one that cannot be read"):
        _from_batches([b"no archive" * 100])


@pytest.mark.parametrize("content", [b"no file" * 100, svhn_mat(np.zeros((1, 3, 32, 32), np.uint8), np.ones(1))[:300]])
def test_a_mat_file_that_cannot_be_read_is_refused(content):
    with pytest.raises(DataError, match=r"^train_32x32\.mat: expected X and y, got a file without: "):
        _from_mat([content, content])


def test_a_damaged_download_is_told_by_its_checksum(arrays, server, monkeypatch, tmp_path):
    offer(CIFAR10, server, monkeypatch, official_files("CIFAR10", arrays), SHAPES)
    server.files["cifar-10-python.tar.gz"] = gzip.compress(b"another file")
    with pytest.raises(DataError, match="expected the MD5 " + re.escape(CIFAR10.archive.remotes[0].md5)):
        CIFAR10(root=tmp_path).prepare_data()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("members", "got"),
    [({"labels": [1]}, "labels"), ({"data": np.zeros((1, 9), np.uint8), "labels": [1]}, "data, labels")],
)
def test_a_batch_that_holds_something_else_is_refused(members, got):
    archive = tar_gz({"cifar-10-batches-py/data_batch_1": pickled_by_python_2(**members)})
    with pytest.raises(DataError, match=rf"data_batch_1: expected data \[N, 3072\] and labels, got {got}$"):
        _from_batches([gzip.decompress(archive)])
