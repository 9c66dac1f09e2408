"""The store that version 0.1.0 has written, and what that version computed from it; make_fixture.py made both."""

import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from reparam_suite.tracking import TrackingSettings

ARCHIVE = Path(__file__).with_name("0.1.0.tar.xz")


@dataclass(frozen=True)
class Recorded:
    """A copy of the store.

    Args:
        home: of the archive's files.
    """

    home: Path

    @classmethod
    def in_directory(cls, directory: Path) -> "Recorded":
        with tarfile.open(ARCHIVE) as archive:
            archive.extractall(directory, filter="data")
        return cls(directory)

    @property
    def root(self) -> Path:
        return self.home / "mlruns"

    @property
    def tracking(self) -> TrackingSettings:
        return TrackingSettings(root=self.root)

    @property
    def expected(self) -> dict[str, Any]:
        """By the name of the run: its id, q(z|x) and bounds of its best weights, weights and metrics at its end."""
        found: dict[str, Any] = json.loads((self.home / "expected.json").read_text())
        return found

    def run_id(self, name: str) -> str:
        return str(self.expected[name]["run_id"])

    def checkpoint(self, name: str, file: str = "last.ckpt") -> Path:
        return self.root / "checkpoints" / self.run_id(name) / file

    def content(self, name: str) -> dict[str, Any]:
        """Of the last checkpoint of a run, as version 0.1.0 wrote it."""
        found: dict[str, Any] = torch.load(self.checkpoint(name), weights_only=True)
        return found
