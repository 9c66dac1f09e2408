"""A lock excludes, and a failure under it leaves nothing."""

import fcntl
import os
import threading

import pytest

from reparam_suite.runtime.file_locks import locked, made_directories


def test_a_lock_excludes_and_stays(tmp_path):
    file = tmp_path / "a" / "lock"
    with locked(file), file.open() as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert file.exists()


def test_nothing_is_left_of_a_failure(tmp_path):
    with pytest.raises(RuntimeError), locked(tmp_path / "a" / "b" / "lock"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "lock").touch()
    with pytest.raises(RuntimeError), locked(tmp_path / "lock"):
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["lock"], "it was there before"


def test_who_waits_for_a_lock_that_is_removed_gets_the_next_one(tmp_path):
    file, inside, events = tmp_path / "lock", threading.Event(), []

    def wait():
        inside.wait()
        with locked(file):
            events.append("second")
            assert os.path.samestat(file.stat(), os.stat(file))

    thread = threading.Thread(target=wait)
    thread.start()

    def fail():
        inside.set()
        events.append("first")
        raise RuntimeError

    with pytest.raises(RuntimeError), locked(file):
        fail()
    thread.join()
    assert events == ["first", "second"]
    assert file.exists()


def test_directories_that_are_in_use_stay(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError), made_directories(tmp_path / "a" / "b", tmp_path / "file"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["file"]

    def fail():
        (tmp_path / "a" / "b" / "kept").touch()
        raise RuntimeError

    with pytest.raises(RuntimeError), made_directories(tmp_path / "a" / "b"):
        fail()
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["kept"]
