import hashlib
import struct

import numpy as np
import pytest
import torch

from reparam_suite.data import MNIST, BinarizedMNIST, FashionMNIST, Omniglot

SIZES = {
    MNIST: (50_000, 10_000, 10_000),
    FashionMNIST: (50_000, 10_000, 10_000),
    Omniglot: (23_000, 1_345, 8_115),
    BinarizedMNIST: (50_000, 10_000, 10_000),
}


@pytest.mark.parametrize("cls", SIZES, ids=lambda cls: cls.__name__)
def test_the_real_file_loads(cls, shared_data):
    module = cls(root=shared_data, batch_size=100)
    module.prepare_data()
    module.setup()
    assert tuple(module.num_rows.values()) == SIZES[cls]
    assert module.source == str(shared_data / cls.archive.file)
    for loader, size in zip((module.val_dataloader(), module.test_dataloader()), SIZES[cls][1:], strict=True):
        x = torch.cat(list(loader))
        assert x.shape == (size, 784)
        assert set(x.unique().tolist()) == {0, 1}
    x = torch.cat(list(module.train_dataloader()))
    assert x.shape == (SIZES[cls][0], 784)
    # 40 million pixels: what binarization adds to the mean is far below this.
    assert (x.mean() - module.train_mean.mean()).abs() < 1e-3


@pytest.mark.parametrize("cls", [MNIST, FashionMNIST], ids=lambda cls: cls.__name__)
def test_the_checksums_are_those_of_the_files_the_arrays_came_from(cls, shared_data):
    arrays = cls.archive.read(shared_data)
    for remote, array in zip(cls.archive.remotes, arrays.values(), strict=True):
        content = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
        assert hashlib.md5(content).hexdigest() == remote.md5, remote.name
    rebuilt = cls.archive.build([_idx(array) for array in arrays.values()])
    assert all(np.array_equal(rebuilt[key], arrays[key]) for key in arrays)


def _idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def test_the_checksums_of_the_binarized_set_are_those_of_its_text(shared_data):
    arrays = BinarizedMNIST.archive.read(shared_data)
    texts = []
    for remote, array in zip(BinarizedMNIST.archive.remotes, arrays.values(), strict=True):
        text = np.full((len(array), 784, 2), ord(" "), np.uint8)
        text[:, :, 0] = array.reshape(-1, 784) + ord("0")
        text[:, -1, 1] = ord("\n")
        texts.append(text.tobytes())
        assert hashlib.md5(texts[-1]).hexdigest() == remote.md5, remote.name
    rebuilt = BinarizedMNIST.archive.build(texts)
    assert all(np.array_equal(rebuilt[key], arrays[key]) for key in arrays)
