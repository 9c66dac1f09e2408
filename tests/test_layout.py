"""Rules of the tree that no linter of ours keeps."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import reparam_suite

ROOT = Path(__file__).parents[1]
PACKAGE = Path(reparam_suite.__file__).parent
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
# The command's own output, and that a download takes its time.
MAY_PRINT = {
    *("__main__.py", "fit.py", "compare.py", "study.py", "sweep.py", "sync.py", "ui.py"),
    *("commands/complaint.py", "commands/options.py", "studies/command.py", "data/remote.py"),
}
DRAWERS = {"utils", "util", "helpers", "common", "misc", "manager"}


def modules() -> dict[str, Path]:
    return {str(path.relative_to(PACKAGE)): path for path in sorted(PACKAGE.rglob("*.py"))}


def test_a_module_imports_only_from_floors_below():
    command = Path(sys.executable).with_name("lint-imports")
    checked = subprocess.run(
        [command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=800, check=False
    )
    assert checked.returncode == 0, checked.stdout
    assert ", 0 broken" in checked.stdout


def test_nothing_prints_but_the_commands():
    found = set()
    for name, path in modules().items():
        calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        if any(isinstance(function, ast.Name) and function.id == "print" for function in calls):
            found.add(name)
    assert found <= MAY_PRINT


def test_no_module_is_a_drawer_for_everything():
    assert not [name for name in modules() if DRAWERS & set(Path(name).with_suffix("").parts)]


def test_the_rooms_are_those_of_the_architecture():
    (tree,) = re.findall(r"^src/reparam_suite/\n(.*?)^```", ARCHITECTURE, re.DOTALL | re.MULTILINE)
    rooms = set(re.findall(r"(\w+)/(?=\s)", "\n".join(line[:21] for line in tree.splitlines())))
    commands = set(re.findall(r"\b(\w+)\.py\b", tree))
    assert rooms == {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert commands == {path.stem for path in PACKAGE.glob("*.py")}


def test_no_file_is_longer_than_300_lines():
    lengths = {name: len(path.read_text().splitlines()) for name, path in modules().items()}
    assert {name: length for name, length in lengths.items() if length > 300} == {}


def test_the_init_of_a_room_only_exports():
    """The package's own imports its names at their first use."""
    for name, path in modules().items():
        if Path(name).name == "__init__.py" and name != "__init__.py":
            others = [ast.unparse(node) for node in ast.parse(path.read_text()).body if not is_export(node)]
            assert others == [], name


def is_export(node: ast.stmt) -> bool:
    is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    is_all = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    return is_docstring or is_all or isinstance(node, ast.Import | ast.ImportFrom)


def test_private_names_of_other_libraries_are_imported_in_internals_alone():
    found = {}
    for name, path in modules().items():
        private = [line for line in imported(ast.parse(path.read_text())) if is_foreign_and_private(line)]
        if private and not Path(name).stem.endswith("_internals"):
            found[name] = private
    assert found == {}


def imported(tree: ast.Module) -> Iterator[str]:
    """The dotted names that a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_foreign_and_private(dotted: str) -> bool:
    # _typeshed is for type checkers alone, and its only name.
    library, *parts = dotted.split(".")
    private = any(part.startswith("_") and not part.startswith("__") for part in parts)
    return library not in ("reparam_suite", "_typeshed") and private


def test_a_private_name_stays_in_its_file():
    for name, path in modules().items():
        lines = [line for line in imported(ast.parse(path.read_text())) if line.startswith("reparam_suite.")]
        private = [line for line in lines if line.rpartition(".")[2].startswith("_") and not line.endswith("__")]
        assert private == [], name


def test_a_private_name_that_would_be_missed_is_found():
    tree = ast.parse("import torch._dynamo\nfrom mlflow.store import _store\nfrom os import path\nimport __main__")
    assert [line for line in imported(tree) if is_foreign_and_private(line)] == ["torch._dynamo", "mlflow.store._store"]


def test_every_module_with_behaviour_has_its_test_file():
    without = [
        name
        for name, path in modules().items()
        if path.name != "__init__.py"
        and has_behaviour(ast.parse(path.read_text()))
        and not (ROOT / "tests" / Path(name).parent / f"test_{path.name}").exists()
    ]
    assert without == []


def has_behaviour(tree: ast.Module) -> bool:
    """Whether a module does anything: a function of it has a body, beside a docstring."""
    bodies = [node.body for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    does = any(not says_nothing(statement) for body in bodies for statement in body)
    return does or any(isinstance(node, ast.Lambda) for node in ast.walk(tree))


def says_nothing(statement: ast.stmt) -> bool:
    """Whether a statement is a docstring, `...` or `pass`."""
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("A = {1: 2}", False),
        ("class P(Protocol):\n    def f(self) -> int:\n        '''A number.'''\n    def g(self): ...", False),
        ("class A:\n    def f(self):\n        return 1", True),
        ("def f(a):\n    a.append(1)", True),
        ("f = lambda: 1", True),
    ],
)
def test_a_module_that_only_declares_is_told_from_one_that_does_something(source, expected):
    assert has_behaviour(ast.parse(source)) == expected


def test_no_docstring_begins_with_what():
    begun = [
        f"{name}: {docstring.splitlines()[0]}"
        for name, path in modules().items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and (docstring := ast.get_docstring(node))
        and docstring.startswith("What")
    ]
    assert begun == []


def test_generated_files_are_in_docs_measured_alone():
    generated = {".json", ".png", ".csv", ".npz", ".svg"}
    elsewhere = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "docs").rglob("*")
        if path.is_file() and (path.suffix in generated or path.suffix == ".py") and "measured" not in path.parts
    ]
    assert elsewhere == []
    written = {path.suffix for path in (ROOT / "docs" / "measured").rglob("*") if path.is_file()}
    assert written <= generated | {".md"}


def test_importing_the_estimators_leaves_torch_as_it_was_and_brings_nothing_heavy():
    """In a process of its own, where nothing else has been imported."""
    program = (
        "import sys, torch\n"
        "state = torch.get_rng_state().clone(), torch.get_default_dtype(), torch.is_grad_enabled()\n"
        "validates = torch.distributions.Distribution._validate_args\n"
        "import reparam_suite.estimators\n"
        "assert torch.equal(state[0], torch.get_rng_state())\n"
        "assert state[1:] == (torch.get_default_dtype(), torch.is_grad_enabled())\n"
        "assert torch.distributions.Distribution._validate_args is validates\n"
        "heavy = {'lightning', 'mlflow', 'matplotlib', 'sklearn', 'optuna', 'ray', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=800, check=False)
    assert ended.returncode == 0, ended.stderr


def test_configurations_are_one_mapping_each():
    files = sorted((ROOT / "conf").rglob("*.yaml"))
    assert files
    for file in files:
        assert isinstance(yaml.safe_load(file.read_text()), dict), file
