"""The tests that `make test-fast` runs: what a change reaches, in which order, and what is left out."""

import subprocess
import time
from types import SimpleNamespace

import pytest
from tests.reached import LATE, ROOT, LeftOut, Tree, changed_files

FILES = {
    "src/suite/__init__.py": "",
    "src/suite/room/__init__.py": "from suite.room.one import One\nfrom suite.room.two import Two\n",
    "src/suite/room/one.py": "class One: ...\n",
    "src/suite/room/two.py": "class Two: ...\n",
    "src/suite/above.py": "def late():\n    from suite.room import Two\n",
    "tests/conftest.py": "from tests.servers import serve\n",
    "tests/servers.py": "",
    "tests/room/test_one.py": "from suite.room.one import One\n",
    "tests/room/conftest.py": "",
    "tests/test_all.py": "import suite.room as room\n",
    "tests/test_above.py": "from suite import above\n",
    "tests/test_named.py": "START = ['-m', 'suite.above']\n",
    "tests/test_pages.py": "CONF = ROOT / 'conf'\nPAGE = 'README.md'\n",
    "tests/test_alone.py": "import os\n",
}
EVERYTHING = {name for name in FILES if "test_" in name}


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Tree:
    root = tmp_path_factory.mktemp("tree")
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return Tree(root)


@pytest.mark.parametrize(
    ("changed", "reached"),
    [
        (
            "src/suite/room/one.py",
            ["tests/room/test_one.py", "tests/test_all.py", "tests/test_above.py", "tests/test_named.py"],
        ),
        (
            "src/suite/room/two.py",
            ["tests/test_above.py", "tests/test_named.py", "tests/room/test_one.py", "tests/test_all.py"],
        ),
        ("src/suite/above.py", ["tests/test_above.py", "tests/test_named.py"]),
        ("tests/test_alone.py", ["tests/test_alone.py"]),
        ("tests/room/conftest.py", ["tests/room/test_one.py"]),
        ("README.md", ["tests/test_pages.py"]),
        ("conf/model/small.yaml", ["tests/test_pages.py"]),
        ("LICENSE", []),
        ("src/suite/gone.py", []),
    ],
)
def test_a_change_reaches_what_imports_or_names_it_the_nearest_first(tree, changed, reached):
    """A package is imported as a whole, whatever of it is wanted: the rest of it is far."""
    assert tree.reached([changed]) == reached


@pytest.mark.parametrize("changed", ["tests/servers.py", "tests/conftest.py", "pyproject.toml", "constraints.txt"])
def test_what_all_tests_share_reaches_all_of_them(tree, changed):
    assert set(tree.reached([changed])) == EVERYTHING


def test_the_test_file_of_a_changed_module_comes_before_others_that_import_it():
    found = Tree(ROOT).reached(["src/reparam_suite/runtime/errors.py"])
    assert found[0] == "tests/runtime/test_errors.py"
    assert "tests/test_fit.py" in found


def test_changed_files_are_those_since_main_and_new_ones(tmp_path):
    def git(*arguments):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], cwd=tmp_path, check=True)

    git("init", "--quiet", "--initial-branch=main")
    for name in ("kept", "edited", "committed"):
        (tmp_path / name).write_text("before")
    git("add", ".")
    git("commit", "--quiet", "--message=first")
    git("switch", "--quiet", "--create=branch")
    (tmp_path / "committed").write_text("after")
    git("commit", "--quiet", "--all", "--message=second")
    (tmp_path / "edited").write_text("after")
    (tmp_path / "new").write_text("")
    assert changed_files(tmp_path)[0] == ["committed", "edited", "new"]


def test_what_would_begin_too_late_is_left_out_and_told_with_what_is_slow():
    def left_out(until):
        return LeftOut(SimpleNamespace(getoption=lambda name: until))

    left_out(time.time() + 600.0).pytest_runtest_setup(None)
    late = left_out(0.0)
    with pytest.raises(pytest.skip.Exception, match=LATE):
        late.pytest_runtest_setup(None)
    late.pytest_runtest_logreport(
        SimpleNamespace(skipped=True, longrepr=("f", 1, f"Skipped: {LATE}"), nodeid="t.py::a")
    )
    late.pytest_runtest_logreport(SimpleNamespace(skipped=True, longrepr=("f", 1, "Skipped: other"), nodeid="t.py::b"))
    late.pytest_testnodedown(SimpleNamespace(workeroutput={"slow": {"s.py": 2, "t.py": 1}}))
    lines = []
    late.pytest_terminal_summary(SimpleNamespace(write_line=lines.append))
    assert lines == ["left out, slow: 3 tests in s.py (2), t.py (1)", "left out, late: 1 tests in t.py (1)"]


def test_pytest_can_put_the_plugin_into_a_set():
    assert len({LeftOut(SimpleNamespace())}) == 1
