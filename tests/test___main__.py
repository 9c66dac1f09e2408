"""`python -m reparam_suite`: every command is listed, and what is listed is there."""

import importlib
from pathlib import Path

import reparam_suite
from reparam_suite import __main__ as listing


def test_the_commands_of_the_package_are_listed_with_their_purpose(capsys):
    assert listing.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"reparam_suite {reparam_suite.__version__}"
    commands = [line.split(maxsplit=3) for line in lines if line.startswith("  python -m reparam_suite.")]
    names = [words[2].removeprefix("reparam_suite.") for words in commands]
    modules = {path.stem for path in Path(reparam_suite.__file__).parent.glob("*.py")}
    assert set(names) == modules - {"__init__", "__main__", "scripts"}
    assert all(len(words[3].split()) > 3 for words in commands)
    assert all(callable(importlib.import_module(f"reparam_suite.{name}").main) for name in names)
