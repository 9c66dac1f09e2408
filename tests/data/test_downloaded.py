import gzip
import io
import re
import zipfile

import numpy as np
import pytest
from PIL import Image
from tests.data.server import RNG, idx, offer, same

from reparam_suite.data import MNIST, BinarizedMNIST, DataError, FashionMNIST, Omniglot


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


def pictures(folder: str, black: dict[str, tuple[slice, slice]]) -> bytes:
    """A zip of pictures as Omniglot's: one bit a pixel, paper white, ink black in the named part."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(f"{folder}/", b"")
        archive.writestr(f"__MACOSX/{folder}/._0001_01.png", b"rubbish")
        for name, part in black.items():
            paper = np.ones((105, 105), bool)
            paper[part] = False
            png = io.BytesIO()
            Image.fromarray(paper).save(png, "png")
            archive.writestr(f"{folder}/{name}.png", png.getvalue())
    return content.getvalue()


def test_omniglot_is_read_from_its_pictures(server, monkeypatch, tmp_path):
    everywhere, top, left = (slice(None), slice(None)), (slice(0, 15), slice(None)), (slice(None), slice(0, 15))
    background = pictures(
        "images_background",
        {"Zulu/character01/0002_16": left, "Zulu/character01/0002_15": top, "Aleph/character02/0001_01": everywhere},
    )
    evaluation = pictures("images_evaluation", {"A/character01/0003_20": top, "A/character01/0003_02": left})
    shapes = {"x_train": (3, 28, 28), "x_test": (2, 28, 28)}
    offer(Omniglot, server, monkeypatch, [background, evaluation], shapes)
    Omniglot(root=tmp_path).prepare_data()
    arrays = Omniglot.archive.read(tmp_path)
    # 15 of 105 pixels are 4 of 28, with no remainder.
    inked = {part: np.zeros((28, 28), np.uint8) for part in ("everywhere", "top", "left")}
    inked["everywhere"][:], inked["top"][:4], inked["left"][:, :4] = 255, 255, 255
    assert np.array_equal(arrays["x_train"], [inked["everywhere"], inked["top"], inked["left"]])
    assert np.array_equal(arrays["x_test"], [inked["left"], inked["top"]])


@pytest.mark.parametrize("cls", [MNIST, FashionMNIST, Omniglot, BinarizedMNIST], ids=lambda cls: cls.__name__)
def test_every_official_file_has_a_place_and_a_checksum(cls):
    for remote in cls.archive.remotes:
        assert re.fullmatch("[0-9a-f]{32}", remote.md5)
        assert remote.bases
        assert all(re.fullmatch("https?://.*/", base) for base in remote.bases)
