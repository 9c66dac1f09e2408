"""Checkpoints as files: complete or absent, verified when they are read, and read as data only."""

import hashlib
import io
import os
import pickle
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, final

import torch
from lightning.fabric.plugins import CheckpointIO
from torch import Tensor
from typing_extensions import override

from reparam_suite.training.errors import CheckpointError, DamagedCheckpoint
from reparam_suite.versions import EarlierVersionError, is_earlier_checkpoint, present_checkpoint

FORMAT = 4
"""The format of what `Checkpoints` and the recording callbacks add to Lightning's content; others are refused."""

HEADER = "reparam_suite"
"""The key of the added content."""


_STRUCTURE = "structure"


@final
class CheckpointFiles(CheckpointIO):
    """Writes a file under another name, and renames it when it is on the disk; reads it as data only."""

    @override
    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        if isinstance(header := checkpoint.get(HEADER), dict):
            checkpoint = {**checkpoint, HEADER: {**header, _STRUCTURE: structure(checkpoint)}}
        content = io.BytesIO()  # torch's own writer turns a full disk into an error without its reason
        torch.save(checkpoint, content)
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f"{target.name}.unfinished")
        try:
            write_durably(unfinished, content.getbuffer())
            os.replace(unfinished, target)
        except OSError:
            unfinished.unlink(missing_ok=True)  # it would keep a full disk full
            raise
        _synchronize(target.parent)

    @override
    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True) -> dict[str, Any]:
        content: dict[str, Any] = torch.load(path, map_location=map_location, weights_only=True)
        return _present(content, Path(path))

    @override
    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)


def write_durably(path: Path, content: bytes | memoryview) -> None:
    """Writes a file and waits until it is on the disk."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _synchronize(directory: Path) -> None:
    # A new name is on the disk when its directory is.
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Returns the content of a checkpoint of a run.

    Raises:
        DamagedCheckpoint: if it is not what was written.
        CheckpointError: if it is no checkpoint of a run, would run code, or is of another format.
    """
    _check_sums(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path} is refused: it holds more than data, and would run code") from error
    except (RuntimeError, ValueError, KeyError, EOFError) as error:
        raise DamagedCheckpoint(f"{path} is damaged: {str(error).splitlines()[0]}") from error
    header = content.get(HEADER) if isinstance(content, dict) else None
    if not isinstance(header, dict) or "format" not in header:
        raise CheckpointError(f"{path}: expected a checkpoint of a run of reparam_suite, got another file")
    if is_earlier_checkpoint(content):
        return _present(content, path)
    if not isinstance(header["format"], int) or header["format"] != FORMAT:
        version = header.get("version")
        raise CheckpointError(
            f"{path}: expected format {FORMAT}, got {header['format']}, written by reparam_suite {version}"
        )
    if header.pop(_STRUCTURE, None) != structure(content):
        raise CheckpointError(f"{path}: expected the parts that a run has written, got others; it was changed since")
    loaded: dict[str, Any] = content
    return loaded


def _present(content: dict[str, Any], path: Path) -> dict[str, Any]:
    try:
        return present_checkpoint(content)
    except EarlierVersionError as error:
        raise CheckpointError(f"{path}: {error}") from error


def structure(content: dict[str, Any]) -> str:
    """A digest of a checkpoint: its names, types, shapes and single values. The file has checksums of its tensors.

    What is left out or exchanged would be found much later, if at all: a moment of an optimizer that has not the shape
    of its parameter is written over the end of its memory.
    """
    return hashlib.sha256("".join(_told(content)).encode()).hexdigest()


def _told(value: Any) -> Iterator[str]:
    if isinstance(value, Tensor):
        yield f"{value.dtype}{tuple(value.shape)}"
    elif isinstance(value, Mapping):
        yield "{"
        for key, each in value.items():
            if key != _STRUCTURE:
                yield f"{key!r}:"
                yield from _told(each)
        yield "}"
    elif isinstance(value, list | tuple):
        yield f"{type(value).__name__}("
        for each in value:
            yield from _told(each)
        yield ")"
    else:
        plain = value is None or type(value) in (bool, int, float, str)
        yield f"{value!r}," if plain else f"{type(value).__name__},"


def _check_sums(path: Path) -> None:
    # torch writes the checksum of every tensor, and reads without looking at them.
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError, OSError) as error:
        raise DamagedCheckpoint(f"{path} is damaged: {error}") from error
    if broken is not None:
        raise DamagedCheckpoint(f"{path} is damaged: the checksum of {broken} does not match")
