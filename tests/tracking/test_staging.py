"""Files that a run's record takes without a copy."""

from reparam_suite.tracking import staging


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
