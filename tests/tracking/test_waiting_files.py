"""A disk that is full while files of a run are written: they wait, go elsewhere, or are named."""

import errno
import logging
import os
import tempfile
from pathlib import Path

import pytest
import torch

from reparam_suite.tracking import Store, run_logger
from reparam_suite.tracking.spool import Spool
from reparam_suite.tracking.waiting_files import WaitingFiles


class Full:
    """Directories in which nothing can be written until they are emptied."""

    def __init__(self, *directories: Path) -> None:
        self.directories = list(directories)

    def write(self, path: Path, text: str = "text") -> None:
        if any(path.is_relative_to(directory) for directory in self.directories):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        path.write_bytes(text.encode())


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    return directory


@pytest.fixture
def staging(tmp_path):
    spool = Spool(tmp_path / "spool" / "run", about={})
    put, told = [], []
    yield WaitingFiles(spool, put=put.append, warn=told.append), put, told
    spool.close()


def test_a_file_goes_to_the_directory_of_temporary_files(tmp_path, temporary, staging):
    made, put, told = staging
    full = Full(tmp_path / "spool")
    made.stage("a.txt", full.write, lambda path: path)
    (path,) = put
    assert Path(path).read_text() == "text"
    assert Path(path).is_relative_to(temporary)
    assert made.waiting == told == []


def test_a_file_waits_where_nothing_takes_it(tmp_path, temporary, staging):
    made, put, told = staging
    full = Full(tmp_path)
    made.stage("a.txt", full.write, lambda path: path)
    made.stage("b.txt", full.write, lambda path: path)
    assert made.waiting == ["a.txt", "b.txt"]
    assert told == ["a.txt cannot be written (No space left on device); it is kept, and written later"]
    assert put == list(temporary.iterdir()) == []
    full.directories.clear()
    made.stage("c.txt", full.write, lambda path: path)
    assert [Path(path).name for path in put] == ["a.txt", "b.txt", "c.txt"]
    assert made.waiting == []


def test_an_error_that_is_not_for_want_of_room_is_raised(staging):
    made, put, _ = staging

    def write(path):
        raise RuntimeError("a fault")

    with pytest.raises(RuntimeError, match="a fault"):
        made.stage("a.txt", write, lambda path: path)
    assert put == made.waiting == []


@pytest.mark.parametrize("disk", ["the spool's", "every one"])
def test_a_run_whose_disk_is_full_at_its_end_is_finished(store: Store, tmp_path, temporary, monkeypatch, caplog, disk):
    """Arrays, text and figures alike; what no disk has taken is named on the run's record."""
    run = store.start_run(name="run", parameters={}, tags={})
    full = Full(*([store.root] if disk == "the spool's" else [store.root, temporary]))
    monkeypatch.setattr(run_logger, "PATIENCE", 2.0)
    monkeypatch.setattr(Path, "write_text", lambda path, text, **_: full.write(path, text))
    monkeypatch.setattr(run_logger.np, "savez", lambda path, **_: full.write(path))
    with caplog.at_level(logging.WARNING):
        run.log_arrays({"x": torch.ones(2)}, "x")
        run.log_text("told", "a.txt")
    if disk == "the spool's":
        run.close("FINISHED")
    else:
        with pytest.warns(UserWarning, match=r"no room for files of run .*, which are not on record: x\.npz, a\.txt"):
            run.close("FINISHED")
        assert "x.npz cannot be written (No space left on device)" in caplog.text
    recorded = store.run(run.run_id)
    assert recorded.info.status == "FINISHED"
    names = sorted(path.name for path in (run.artifact_dir or Path()).rglob("*"))
    assert names == (["a.txt", "x.npz"] if disk == "the spool's" else [])
    assert recorded.data.tags.get("missing_files") == (None if disk == "the spool's" else "x.npz, a.txt")
