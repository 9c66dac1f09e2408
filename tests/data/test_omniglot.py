"""Omniglot: read from its pictures, and split."""

import io
import zipfile

import numpy as np
from PIL import Image
from tests.data.server import offer

from reparam_suite.data import Omniglot


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


def test_omniglot_validates_on_every_alphabet_and_mostly_background(shared_data):
    module = Omniglot(root=shared_data)
    splits = module.read()
    with np.load(shared_data / "omniglot28.npz", allow_pickle=False) as file:
        x, alphabet = file["x_train"].reshape(-1, 784), file["y_train"]
    place = np.zeros(len(x), dtype=bool)
    place[np.linspace(0, len(x), 1_345, endpoint=False).astype(int)] = True
    assert np.array_equal(splits.valid, x[place])
    assert np.array_equal(splits.train, x[~place])
    assert set(alphabet[place]) == set(alphabet[~place]) == set(range(50))
    assert splits.train.mean() < 64, "ink is high, paper is low"
