"""A lock between processes, and what is taken back when what it was for has failed."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Holds the lock of a file within this context; the system frees it when the process dies.

    The file and the directories above it are made if they are missing, and those that were made are removed if the
    context ends with an error: nothing is left of a failure.

    Raises:
        OSError: if the file cannot be made.
    """
    missing = not file.exists()
    with made_directories(file.parent):
        handle = _lock(file)
        try:
            yield
        except BaseException:
            if missing:
                file.unlink(missing_ok=True)  # while it is locked: who waits for it finds another one
            raise
        finally:
            os.close(handle)


@contextmanager
def made_directories(*directories: Path) -> Iterator[None]:
    """Makes directories, and removes those that it made, if they are empty, when the context ends with an error.

    Raises:
        OSError: if one cannot be made.
    """
    made: list[Path] = []
    try:
        for directory in directories:
            made += reversed([path for path in (directory, *directory.parents) if not path.exists()])
            directory.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for path in reversed(made):
            with suppress(OSError):
                path.rmdir()
        raise


def _lock(file: Path) -> int:
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if os.path.samestat(os.stat(file), os.fstat(handle)):
                return handle
        except FileNotFoundError:  # whoever had it locked has removed it
            pass
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
