"""Data that several runs have in common: the same description has to mean the same content."""

import hashlib
import json
from typing import final

from reparam_suite.running.assembly import Assembly
from reparam_suite.running.surroundings import Observer
from reparam_suite.runtime.errors import UsageError
from reparam_suite.runtime.plain_data import opaque_parts, plain

_NOT_CONTENT = ("seed", "batch_size")


def key_of_data(parts: Assembly) -> str | None:
    """A digest of what describes the content of a run's data; None where nothing does, or they have no digest.

    Data of one key are to have one digest of their content.
    """
    description = plain(parts.given_data)
    if parts.data.digest is None or any(True for _ in opaque_parts(description)):
        return None
    arguments = {**description, "init_args": {**description.get("init_args", {}), **dict.fromkeys(_NOT_CONTENT)}}
    return hashlib.sha256(json.dumps(arguments, sort_keys=True, default=str).encode()).hexdigest()[:16]


def check_same_data(parts: Assembly, before: str | None, whose: str) -> None:
    """Refuses data of another digest than that of a run with which this one is averaged or compared.

    Raises:
        UsageError: naming both digests.
    """
    if before is not None and parts.data.digest != before:
        raise UsageError(
            f"data: expected those of {whose}, of digest {before}, got {parts.data.name} of digest "
            f"{parts.data.digest}: they were replaced in between"
        )


@final
class SameData(Observer):
    """Has all runs of a command train on the same data."""

    def __init__(self) -> None:
        self._first: tuple[str | None, int] | None = None

    def assembled(self, parts: Assembly) -> None:
        """Compares the data with those of the first run."""
        if self._first is None:
            self._first = parts.data.digest, parts.run.seed
        before, seed = self._first
        check_same_data(parts, before, f"seed {seed}")
