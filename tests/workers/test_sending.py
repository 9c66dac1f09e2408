"""Whether another process can be sent a function and its values."""

import sys
from types import ModuleType

from reparam_suite.workers import obstacle


def square(task, signals):
    return task * task


def test_what_is_defined_in_a_notebook_has_no_file_to_import_it_from(monkeypatch, tmp_path):
    main = ModuleType("__main__")
    main.typed_in = type("typed_in", (), {"__module__": "__main__"})
    monkeypatch.setitem(sys.modules, "__main__", main)
    assert obstacle(square, 1) is None, "it is of another module"
    assert obstacle(main.typed_in) == "it is defined in a notebook, or was typed in: no file has it"
    main.__file__ = str(tmp_path / "script.py")
    assert obstacle(main.typed_in) is not None
    (tmp_path / "script.py").touch()
    assert obstacle(main.typed_in) is None


def numbers():
    yield 1


def test_what_cannot_be_sent_is_told():
    def local(seed):
        return seed

    assert obstacle(square, {"a": 1}) is None
    assert "local" in obstacle(local)
    assert obstacle(lambda: 0) is not None
    assert obstacle(square, numbers()) is not None
