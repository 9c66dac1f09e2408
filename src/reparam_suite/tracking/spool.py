"""Records of a run that its store has not taken yet, on this machine's disk."""

import fcntl
import json
import os
import shutil
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import final

from reparam_suite.tracking.records import Entry, Record, from_line, to_line

# MLflow takes 1,000 points in one call.
MOST = 1000

_MARK = b'{"sent": '
_LATER = "later"
_CHUNK = 1 << 16


@final
class Occupied(Exception):  # noqa: N818 - no error: it says who has the spool
    """Another process, or another part of this one, has the spool open."""


@final
@dataclass(frozen=True)
class Batch:
    """Records that are sent in one call, and the lines that they were read from."""

    entries: list[Entry]
    lines: list[bytes]
    end: int | None  # where the lines end in the file; None if they are in memory only
    later: bool = False  # whether they were set back before


@final
@dataclass(frozen=True)
class Rest:
    """How many entries a closed spool keeps: unsent and in the file, unsent and on no disk, refused by the store.

    Of the unsent ones, `later` were set back.
    """

    unsent: int = 0
    unwritten: int = 0
    refused: int = 0
    later: int = 0

    @property
    def files(self) -> str:
        """How many of them are files that could not be delivered, as the end of a phrase; empty for none."""
        return f", {self.later} of them files that could not be delivered" if self.later else ""


@final
class Spool:
    """A write-ahead log: entries are appended, taken in order, and marked when the store has them.

    Its directory, which is removed when nothing is left in it, has
    run.json: about the run, and locked while somebody has the spool open; the system frees it when a process dies;
    unsent.jsonl: a line an entry, and lines {"sent": N} where the first N bytes have been delivered;
    later/: a spool of the entries that were set back, there only if there are any;
    refused.jsonl: entries that the store does not want;
    0/, 1/ and so on: files that entries name.

    What has been appended survives the death of the process. Where the disk takes nothing more, entries stay in
    memory until it does. Not for several threads at once; each `take` is followed by one `done`.

    Args:
        directory: of one run.
        about: the content of run.json.

    Raises:
        Occupied: if somebody else has it open.
        OSError: if the directory cannot be used.
    """

    def __init__(self, directory: Path, *, about: Mapping[str, str]) -> None:
        self.directory = directory
        self._about = dict(about)
        self._unwritten: deque[bytes] = deque()
        self._numbers = count()
        self._lock = self._log = -1
        self._sent = self._end = 0  # in bytes: what is delivered, and all that is written
        self._num_here = self._num_refused = 0  # unsent and not set back; refused
        self._later: Spool | None = None
        self._open()

    @property
    def refused(self) -> Path:
        """The file of the entries that the store does not want; there only if there are any."""
        return self.directory / "refused.jsonl"

    def append(self, entries: Iterable[Entry]) -> int:
        """Adds entries and returns their number; they are in the file then, if the disk takes them."""
        if self._lock < 0:
            self._open()
        lines = [to_line(entry) for entry in entries]
        self._add(lines)
        return len(lines)

    @property
    def num_unsent(self) -> int:
        """The number of entries that are not delivered."""
        return self._num_here + self.num_later

    @property
    def num_later(self) -> int:
        """The number of those that were set back."""
        return 0 if self._later is None else self._later.num_unsent

    def set_back(self, batch: Batch) -> None:
        """Has what `take` gave, and could not be delivered, wait behind all the rest: for `take_later`."""
        if self._later is None:
            self._later = Spool(self.directory / _LATER, about={})
        self._later._add(batch.lines)
        self.done(batch)

    def take_later(self) -> Batch | None:
        """Of what was set back, the one that waits longest; None if there is none."""
        batch = None if self._later is None else self._later.take()
        return None if batch is None else replace(batch, later=True)

    def take(self) -> Batch | None:
        """The oldest entries: up to 1,000 points, or one record; None if there are none."""
        self._write()
        entries: list[Entry] = []
        lines: list[bytes] = []
        for line, end in self._lines():
            try:
                entry = from_line(line)
            except ValueError:  # the disk gave back something else than was written: kept apart
                if lines:
                    break
                return Batch([], [line], end)
            if isinstance(entry, Record) and lines:
                break
            entries.append(entry)
            lines.append(line)
            last = end
            if isinstance(entry, Record) or len(lines) == MOST:
                break
        return Batch(entries, lines, last) if lines else None

    def done(self, batch: Batch, *, refused: bool = False) -> None:
        """Marks what `take` or `take_later` gave as delivered, or as refused by the store."""
        if refused or not batch.entries:
            with self.refused.open("ab") as file:
                file.writelines(batch.lines)
            self._num_refused += len(batch.lines)
        (self if self._later is None or not batch.later else self._later)._mark(batch)

    def _mark(self, batch: Batch) -> None:
        self._num_here -= len(batch.lines)
        if batch.end is not None:
            self._sent = batch.end
        elif self._end > self._sent:  # the disk has taken them in the meantime
            self._sent += sum(map(len, batch.lines))
        else:
            for _ in batch.lines:
                self._unwritten.popleft()
        if self._num_here == len(self._unwritten):
            self._empty()
        else:
            with suppress(OSError):  # unmarked, it is sent again by whoever comes after: no harm
                self._write_whole(_MARK + b"%d}\n" % self._sent)

    def to_disk(self) -> None:
        """Has the file survive a power failure too; the one call that another thread may make meanwhile."""
        with suppress(OSError), (self.directory / "unsent.jsonl").open("rb") as file:  # it may be gone, all delivered
            os.fsync(file.fileno())

    def staging_directory(self) -> Path:
        """A new directory for files that an entry names."""
        while True:
            directory = self.directory / str(next(self._numbers))
            try:
                directory.mkdir(parents=True)
            except FileExistsError:  # of an earlier process
                continue
            return directory

    def close(self) -> Rest:
        """Gives the spool up and tells what it keeps; the directory stays if that is anything."""
        if self._lock < 0:
            return Rest()
        self._write()
        later = Rest() if self._later is None else self._later.close()
        self._later = None
        unsent, unwritten = self._num_here - len(self._unwritten), len(self._unwritten)
        rest = Rest(unsent + later.unsent, unwritten + later.unwritten, self._num_refused, later.unsent)
        self._num_refused = 0
        os.close(self._log)
        if rest.unsent + rest.unwritten == 0:
            if self.refused.exists():
                (self.directory / "unsent.jsonl").unlink()
            else:  # a network file system may keep the open lock a little longer, and an empty spool is no harm
                shutil.rmtree(self.directory, ignore_errors=True)
        os.close(self._lock)  # last: it frees the directory
        self._lock = self._log = -1
        return rest

    def _open(self) -> None:
        self._lock = _locked(self.directory / "run.json", self._about)
        self._log = os.open(self.directory / "unsent.jsonl", os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._sent = self._end = 0
        for line, end in self._raw_lines():
            if line.startswith(_MARK):
                self._sent = int(line[len(_MARK) : -2])
            self._end = end
        os.ftruncate(self._log, self._end)  # half a line: its writer died in the middle
        written = sum(not line.startswith(_MARK) for line, _ in self._raw_lines(self._sent))
        if written == 0:
            self._empty()
        self._num_here = written + len(self._unwritten)
        if (self.directory / _LATER).is_dir():
            self._later = Spool(self.directory / _LATER, about={})

    def _add(self, lines: Iterable[bytes]) -> None:
        added = list(lines)
        self._unwritten.extend(added)
        self._num_here += len(added)
        self._write()

    def _empty(self) -> None:
        os.ftruncate(self._log, 0)  # on a full disk this makes room
        self._sent = self._end = 0

    def _lines(self) -> Iterator[tuple[bytes, int | None]]:
        """Unsent lines with the offset of their ends: those of the file, or if it has none those in memory."""
        in_file = False
        for line, end in self._raw_lines(self._sent):
            if not line.startswith(_MARK):
                in_file = True
                yield line, end
        if not in_file:
            for line in tuple(self._unwritten):
                yield line, None

    def _raw_lines(self, start: int = 0) -> Iterator[tuple[bytes, int]]:
        rest, offset = b"", start
        while chunk := os.pread(self._log, _CHUNK, offset + len(rest)):
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                offset += len(line) + 1
                yield line + b"\n", offset

    def _write(self) -> None:
        """Moves to the file what only memory has."""
        if not self._unwritten:
            return
        with suppress(OSError):  # a full disk: again at the next chance
            self._write_whole(b"".join(self._unwritten))
            self._unwritten.clear()

    def _write_whole(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._log, view) :]
        except OSError:
            os.ftruncate(self._log, self._end)
            raise
        self._end += len(data)


def _locked(file: Path, about: Mapping[str, str]) -> int:
    while True:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:  # its owner has just removed it
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still(file, handle):
                if about:
                    os.ftruncate(handle, 0)
                    os.pwrite(handle, (json.dumps(about, indent=2) + "\n").encode(), 0)
                return handle
        except BlockingIOError as error:
            os.close(handle)
            raise Occupied(str(file.parent)) from error
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _is_still(file: Path, handle: int) -> bool:
    """Whether `handle`, now locked, has not been removed by who had it locked before."""
    try:
        return os.path.samestat(os.stat(file), os.fstat(handle))
    except FileNotFoundError:
        return False
