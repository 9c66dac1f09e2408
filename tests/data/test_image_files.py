"""Image files: the faults of each, and their pixels."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reparam_suite.data.image_files import ImageRows, fault_of, files_in, size_of

RNG = np.random.default_rng(7)


def image(path: Path, *, size: tuple[int, int] = (4, 6), mode: str = "RGB") -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = {"RGB": (3,), "RGBA": (4,), "LA": (2,), "L": (), "I;16": ()}[mode]
    dtype = np.uint16 if mode == "I;16" else np.uint8
    pixels = RNG.integers(0, 256, (*size, *channels)).astype(dtype)
    Image.fromarray(pixels).save(path)
    return pixels


def cut_off(path: Path) -> None:
    image(path, size=(64, 64))
    path.write_bytes(path.read_bytes()[:-20])


def no_image(path: Path) -> None:
    path.write_text("this is no image")


def palette(path: Path) -> None:
    Image.fromarray(np.zeros((4, 6), np.uint8)).convert("P").save(path, transparency=0)


def deep_colour(path: Path) -> None:
    """A PNG of three channels of 16 bits, which PIL reads as 8."""
    lines = b"".join(b"\0" + bytes(6 * 6) for _ in range(4))
    parts = {b"IHDR": struct.pack(">IIBBBBB", 6, 4, 16, 2, 0, 0, 0), b"IDAT": zlib.compress(lines), b"IEND": b""}
    chunks = (
        struct.pack(">I", len(held)) + name + held + struct.pack(">I", zlib.crc32(name + held))
        for name, held in parts.items()
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


FAULTS = {
    "alpha.png": (lambda path: image(path, mode="RGBA"), "expected no alpha channel, got RGBA"),
    "grey_alpha.png": (lambda path: image(path, mode="LA"), "expected no alpha channel, got LA"),
    "palette.png": (palette, "expected no alpha channel, got P"),
    "deep.png": (lambda path: image(path, mode="I;16"), "expected 8 bits a channel, got I;16B"),
    "deep_colour.png": (deep_colour, "expected 8 bits a channel, got RGB;16B"),
    "text.jpg": (no_image, "it cannot be read as an image: unknown format"),
    "cut.png": (cut_off, "it is truncated"),
    "cut.jpg": (cut_off, "it is truncated"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told(name, tmp_path):
    FAULTS[name][0](tmp_path / name)
    assert fault_of(tmp_path / name) == FAULTS[name][1]


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "webp"])
def test_files_without_a_fault_have_none(mode, suffix, tmp_path):
    path = tmp_path / f"x.{suffix}"
    image(path, size=(5, 7), mode=mode)
    assert fault_of(path) is None
    assert size_of(path) == (5, 7)
    assert files_in(tmp_path) == [path]


def test_pixels_are_read_by_number(tmp_path):
    pixels = [image(tmp_path / f"{index}.png") for index in range(3)]
    rows = ImageRows([tmp_path / f"{index}.png" for index in range(3)], size=(4, 6), crop="centre", colour="colour")
    assert (len(rows), rows.event_shape) == (3, (3, 4, 6))
    assert np.array_equal(rows.read(np.array([2, 0])), np.stack([pixels[2], pixels[0]]).transpose(0, 3, 1, 2))


@pytest.mark.parametrize("colour", ["colour", "grey"])
def test_large_photographs_are_scaled_as_if_all_pixels_had_been_decoded(colour, tmp_path):
    """A smooth photograph in a JPEG of 20 times the side, decoded at an eighth."""
    rows, columns = np.mgrid[0:320, 0:400] / 400
    photograph = np.stack([rows, columns, 1 - rows * columns], -1)
    image = Image.fromarray(np.rint(photograph * 255).astype(np.uint8))
    image.save(tmp_path / "x.jpg", quality=95)
    (found,) = ImageRows([tmp_path / "x.jpg"], size=(16, 20), crop="none", colour=colour).read(np.array([0]))
    mode = {"colour": "RGB", "grey": "L"}[colour]
    expected = np.asarray(image.resize((20, 16), Image.Resampling.LANCZOS).convert(mode))
    expected = expected.transpose(2, 0, 1) if colour == "colour" else expected[None]
    assert np.abs(found.astype(int) - expected).max() <= 4
