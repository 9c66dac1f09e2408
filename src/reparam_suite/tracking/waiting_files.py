"""Files on their way to a run's record: written where there is room, and tried again where there is none."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

from reparam_suite.tracking.reasons import reason
from reparam_suite.tracking.records import Record
from reparam_suite.tracking.spool import Spool

# Bytes: with less than this a disk is full, whatever error the writer makes of it.
_FULL = 2**20


@final
@dataclass(frozen=True)
class _Waiting:
    name: str
    write: Callable[[Path], object]
    record: Callable[[str], Record]


@final
class WaitingFiles:
    """Files that are written once for a run's record.

    One goes to the run's spool; where that disk takes nothing, to the system's directory of temporary files; where that
    takes nothing either, the call that writes it is kept, and made again whenever another file is staged.

    Args:
        spool: of the run.
        put: takes the record of a file that is written.
        warn: is called with the first file that cannot be.
    """

    def __init__(self, spool: Spool, *, put: Callable[[Record], object], warn: Callable[[str], object]) -> None:
        self._spool = spool
        self._put = put
        self._warn = warn
        self._waiting: list[_Waiting] = []

    @property
    def waiting(self) -> list[str]:
        """The names of the files that no disk has taken."""
        return [file.name for file in self._waiting]

    def stage(self, name: str, write: Callable[[Path], object], record: Callable[[str], Record]) -> None:
        """Writes a file or a directory, and puts its record.

        Args:
            name: of the file.
            write: makes it at the path that it is called with.
            record: of the path at which it was made, relative to the spool or absolute.

        Raises:
            Exception: whatever `write` raises that is not for want of room.
        """
        self._waiting.append(_Waiting(name, write, record))
        self.retry()

    def retry(self) -> None:
        """Writes the files that wait, as far as there is room now."""
        waiting, self._waiting = self._waiting, []
        for file in waiting:
            try:
                path = self._written(file)
            except OSError as error:
                self._waiting.append(file)
                if len(waiting) == 1:
                    self._warn(f"{file.name} cannot be written ({reason(error)}); it is kept, and written later")
            else:
                self._put(file.record(path))

    def _written(self, file: _Waiting) -> str:
        failed: OSError | None = None
        for directory in self._directories():
            try:
                path = directory() / file.name
                _write(file, path)
            except OSError as error:
                failed = failed or error
                continue
            inside = path.is_relative_to(self._spool.directory)
            return str(path.relative_to(self._spool.directory) if inside else path)
        assert failed is not None
        raise failed

    def _directories(self) -> Iterator[Callable[[], Path]]:
        yield self._spool.staging_directory
        yield lambda: Path(tempfile.mkdtemp(prefix="reparam_suite-"))


def _write(file: _Waiting, path: Path) -> None:
    try:
        file.write(path)
    except BaseException as error:
        full = shutil.disk_usage(path.parent).free < _FULL
        shutil.rmtree(path.parent, ignore_errors=True)
        if isinstance(error, Exception) and full and not isinstance(error, OSError):
            raise OSError(f"the disk is full: {reason(error)}") from error
        raise
