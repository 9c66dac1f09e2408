"""Image files: which there are in a folder, what is wrong with one, and their pixels."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Literal, final

import numpy as np

from reparam_suite.data.kinds import Array
from reparam_suite.data.rows import Rows
from reparam_suite.runtime.errors import DataError

Crop = Literal["centre", "none"]
Colour = Literal["colour", "grey"]

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})

_MODES = {"colour": "RGB", "grey": "L"}  # PIL's names
_READABLE = ("1", "L", "P", "RGB", "CMYK", "YCbCr")
_ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}
_ORIENTATION, _UPRIGHT, _ON_ITS_SIDE = 0x0112, 1, (5, 6, 7, 8)  # of EXIF
_TAIL = 4_096  # bytes in which the end is looked for: cameras write more after it
_DRAFT = (
    2  # times the side that is wanted, in pixels, which a JPEG is decoded to at least: what is scaled then is sharp
)


def files_in(folder: Path) -> list[Path]:
    """The image files in a folder and the folders below it, in the order of their names; hidden ones are left alone."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def fault_of(path: Path) -> str | None:
    """The fault of an image file, from its header and its end; None if there is none."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
                return f"expected no alpha channel, got {image.mode}"
            stored = str(image.tile[0].args) if image.tile else ""  # PIL reads 16 bits of three channels as 8
            if image.mode not in _READABLE or ";16" in stored:
                return f"expected 8 bits a channel, got {stored if ';16' in stored else image.mode}"
            end = _ENDS.get(image.format or "")
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError) as error:
        return f"it cannot be read as an image: {_shown(error)}"
    if end is not None and end not in _tail(path):
        return "it is truncated"
    return None


def size_of(path: Path) -> tuple[int, int]:
    """Height and width of an image without a fault, as it is looked at; of its header alone."""
    from PIL import Image

    with Image.open(path) as image:
        known = (
            image.format != "PNG" or "exif" in image.info
        )  # else PIL decodes a PNG to look for EXIF behind its pixels
        lies = known and image.getexif().get(_ORIENTATION, _UPRIGHT) in _ON_ITS_SIDE
        return (image.width, image.height) if lies else (image.height, image.width)


@final
class ImageRows(Rows):
    """The pixels of image files, [C, H, W] in uint8.

    Args:
        files: in their order.
        size: height and width in pixels.
        crop: what is done to images of another size: "centre" scales the shorter side and cuts the longer one at both
            ends, "none" scales both.
        colour: whether there are three channels, or one.
    """

    def __init__(self, files: Sequence[Path], *, size: tuple[int, int], crop: Crop, colour: Colour) -> None:
        self._files = list(files)
        self._size = size
        self._crop = crop
        self._colour = colour

    @property
    def event_shape(self) -> tuple[int, ...]:
        """[C, H, W]."""
        return (3 if self._colour == "colour" else 1, *self._size)

    def __len__(self) -> int:
        return len(self._files)

    def read(self, indices: Array) -> Array:
        """The images of these numbers."""
        rows = np.empty((len(indices), *self.event_shape), np.uint8)
        for row, index in zip(rows, indices.tolist(), strict=True):
            row[:] = self._pixels(self._files[index])
        return rows

    def _pixels(self, path: Path) -> Array:
        from PIL import Image, ImageOps

        mode, size = _MODES[self._colour], self._size[::-1]  # PIL's are width and height
        least = _DRAFT * max(size)
        try:
            with Image.open(BytesIO(path.read_bytes())) as opened:  # one read, where PIL makes ten of a small file
                opened.draft(mode, (least, least))  # a JPEG of many more pixels is decoded at a fraction of them
                upright = opened.getexif().get(_ORIENTATION, _UPRIGHT) == _UPRIGHT
                image: Image.Image = opened if upright else ImageOps.exif_transpose(opened)
                image = image if image.mode == mode else image.convert(mode)
                image.load()
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise DataError(f"{path}: it cannot be read as an image: {_shown(error)}") from error
        if image.size != size:
            resample = Image.Resampling.LANCZOS
            image = ImageOps.fit(image, size, resample) if self._crop == "centre" else image.resize(size, resample)
        pixels: Array = np.asarray(image)
        return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        return file.read()


def _shown(error: Exception) -> str:
    reason = str(error) or type(error).__name__
    return "unknown format" if reason.startswith("cannot identify") else reason
