"""Private names of jsonargparse: each does what `jsonargparse_internals` takes it to do."""

import pytest
from jsonargparse import ArgumentError, ArgumentParser

from reparam_suite.commands.jsonargparse_internals import imports_only, option_strings, strict_files


def test_the_options_of_a_parser():
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--a.b", "-b", type=int)
    assert {"--a.b", "-b", "--help"} <= set(option_strings(parser))


def test_imports_are_restricted_within_the_context_and_free_again_afterwards():
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--cls", type=type[ArithmeticError])
    with imports_only(["reparam_suite"]), pytest.raises(ArgumentError):
        parser.parse_args(["--cls", "decimal.DecimalException"])
    assert parser.parse_args(["--cls", "decimal.DecimalException"]).cls.__name__ == "DecimalException"


def test_files_and_values_are_strict_within_the_context_and_free_again_afterwards(tmp_path):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_argument("--a", type=int)
    file = tmp_path / "a.yaml"
    file.write_text("a: 1\na: 2")
    with strict_files(), pytest.raises(ArgumentError, match="expected every key once, got a in lines 1 and 2"):
        parser.parse_args([f"--config={file}"])
    assert parser.parse_args([f"--config={file}"]).a == 2
