"""Staged files: never half there under their final name, and gone with their directory; or not copied at all."""

import os

import pytest

from reparam_suite.tracking import staging
from reparam_suite.tracking.staging import discard, place


@pytest.fixture
def staged(tmp_path):
    """A file and a directory, staged below a directory of their own."""
    folder = tmp_path / "spool" / "0"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "model").mkdir()
    (folder / "model" / "b.txt").write_text("b")
    return folder


def test_a_file_and_a_directory_are_moved_where_no_directory_is_yet(staged, tmp_path):
    place(staged / "a.txt", tmp_path / "new" / "a.txt")
    place(staged / "model", tmp_path / "other" / "model")
    assert (tmp_path / "new" / "a.txt").read_text() == "a"
    assert (tmp_path / "other" / "model" / "b.txt").read_text() == "b"
    assert list(staged.iterdir()) == []


def test_on_another_file_system_they_are_copied_under_another_name_first(staged, tmp_path, monkeypatch):
    real, moved = os.replace, []

    def replace(source, target):
        if source.parent == staged:
            raise OSError(18, "Invalid cross-device link")
        moved.append((source.name, source.is_dir() or source.read_text()))
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    for name in ("a.txt", "model"):
        place(staged / name, tmp_path / "new" / name)
    assert moved == [(".a.txt.incomplete", "a"), (".model.incomplete", True)], "complete before they have their names"
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["a.txt", "model"]
    assert (tmp_path / "new" / "model" / "b.txt").read_text() == "b"


def test_what_was_staged_is_gone_with_the_directory_that_was_made_for_it(staged):
    (staged / "a.txt").unlink()
    discard(staged / "model")
    assert not staged.exists()
    discard(staged / "model")  # once more, after its answer was lost
    assert staged.parent.exists()


def refuse(*_):
    """A file system without second names."""
    raise OSError


def test_a_file_that_is_only_ever_replaced_is_recorded_as_a_second_name_of_it(run, tmp_path, monkeypatch):
    """Recorded again, as after a run that was resumed: the artifact is the file of that moment."""
    file, kept = run.artifact_dir.parents[2] / "last.ckpt", run.artifact_dir / "checkpoints" / "last.ckpt"
    file.write_bytes(b"first")
    for _ in range(2):
        run.log_artifact(file, "checkpoints", unchanging=True)
        assert run.flush(300)
        assert kept.samefile(file)
    (tmp_path / "new").write_bytes(b"second")
    (tmp_path / "new").replace(file)
    assert kept.read_bytes() == b"first"
    monkeypatch.setattr(staging.os, "link", refuse)
    run.log_artifact(file, "checkpoints", unchanging=True)
    assert run.flush(300)
    assert (kept.read_bytes(), kept.samefile(file)) == (b"second", False)
