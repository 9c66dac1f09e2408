"""Rules of the tree that no linter of ours keeps."""

import ast
import subprocess
import sys
from pathlib import Path

import yaml

import reparam_suite

ROOT = Path(__file__).parents[1]
PACKAGE = Path(reparam_suite.__file__).parent
# The command's own output, and that a download takes its time.
MAY_PRINT = {"fit.py", "compare.py", "study.py", "command_line.py", "data/remote.py", "sync.py"}
DRAWERS = {"utils", "util", "helpers", "common", "misc", "manager"}


def modules() -> dict[str, Path]:
    return {str(path.relative_to(PACKAGE)): path for path in sorted(PACKAGE.rglob("*.py"))}


def test_a_module_imports_only_from_floors_below():
    command = Path(sys.executable).with_name("lint-imports")
    checked = subprocess.run(
        [command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
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
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr


def test_configurations_are_one_mapping_each():
    files = sorted((ROOT / "conf").rglob("*.yaml"))
    assert files
    for file in files:
        assert isinstance(yaml.safe_load(file.read_text()), dict), file
