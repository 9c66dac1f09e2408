"""Official files, fetched over HTTP with a checksum, and the .npz that is built from them once."""

import gzip
import hashlib
import io
import os
import sys
import tempfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from reparam_suite.data import npz
from reparam_suite.data.kinds import Array
from reparam_suite.runtime.errors import DataError

_GZIP_MAGIC = b"\x1f\x8b"


@final
@dataclass(frozen=True)
class RemoteFile:
    """One file of a data set and the places that offer it.

    Attributes:
        name: appended to each base.
        bases: URLs that end in a slash, tried in this order.
        md5: of the file as it is offered, or of its content where it comes as gzip.
        timeout: seconds to wait for the connection and for each piece of the answer.
    """

    name: str
    bases: tuple[str, ...]
    md5: str
    timeout: float = 10.0

    def fetch(self) -> bytes:
        """The verified content, decompressed.

        Raises:
            DataError: if no place delivers it; names each URL and what was wrong there.
        """
        failures = []
        for base in self.bases:
            url = base + self.name
            try:
                offered = self._fetch(url)
                if _md5(offered) == self.md5:
                    return _decompressed(offered)
                content = _decompressed(offered)
            except (OSError, EOFError, zlib.error) as error:
                failures.append(f"{url}: {error}")
                continue
            if _md5(content) == self.md5:
                return content
            failures.append(f"{url}: expected the MD5 {self.md5}, got {_md5(content)}")
        raise DataError(f"{self.name} could not be downloaded. " + "; ".join(failures))

    def _fetch(self, url: str) -> bytes:
        from pooch import HTTPDownloader  # slow to import, and only a download needs it

        buffer = io.BytesIO()
        HTTPDownloader(chunk_size=1 << 20, timeout=self.timeout)(url, buffer, None)
        return buffer.getvalue()


def _decompressed(content: bytes) -> bytes:
    # By its content, not by its name: some servers make the client decompress it on the way.
    return gzip.decompress(content) if content.startswith(_GZIP_MAGIC) else content


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@final
@dataclass(frozen=True)
class Archive:
    """An .npz file of uint8 arrays, and the official files it is built from.

    Attributes:
        file: its name in the root directory.
        shapes: shape of each array that must be in it.
        remotes: the official files.
        build: from the contents of the remotes, in their order, to the arrays.
    """

    file: str
    shapes: Mapping[str, tuple[int, ...]]
    remotes: tuple[RemoteFile, ...]
    build: Callable[[Sequence[bytes]], dict[str, Array]]

    def download(self, root: Path) -> None:
        """Build the file in `root` unless it is there; appears under its name only when complete.

        Raises:
            DataError: if a remote file is not available or `root` cannot be written to.
        """
        path = root / self.file
        if path.exists():
            return
        try:
            root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".download-", dir=root) as folder:
                print(f"Downloading {len(self.remotes)} files for {path}", file=sys.stderr)
                built: dict[str, Any] = {**self.build([remote.fetch() for remote in self.remotes])}
                partial = Path(folder, self.file)
                with partial.open("wb") as file:
                    np.savez_compressed(file, **built)
                    file.flush()
                    os.fsync(file.fileno())
                partial.replace(path)
        except DataError as error:
            raise DataError(f"{path} is missing, and {error}. Try again later, or put {self.file} there") from error
        except OSError as error:
            raise DataError(f"{path} is missing and cannot be written: {error}") from error

    def read(self, root: Path) -> dict[str, Array]:
        """The arrays.

        Raises:
            DataError: if the file is missing, corrupt, or holds other arrays.
        """
        path = root / self.file
        try:
            missing = self.shapes.keys() - npz.keys(path)
            if missing:
                raise DataError(f"{path}: expected {', '.join(self.shapes)}, got no {' and no '.join(sorted(missing))}")
            arrays = npz.arrays(path, list(self.shapes))
            for key, shape in self.shapes.items():
                self._check(path, key, arrays[key], shape)
        except DataError as error:
            raise DataError(f"{error}. Delete {path} to download it afresh") from error
        return arrays

    def _check(self, path: Path, key: str, array: Array, shape: tuple[int, ...]) -> None:
        if array.shape != shape or array.dtype != np.uint8:
            raise DataError(f"{path}: {key}: expected uint8 {shape}, got {array.dtype} {array.shape}")
