"""Private names of jsonargparse: each does what `jsonargparse_internals` takes it to do."""

import pytest
from jsonargparse import ArgumentError, ArgumentParser

from reparam_suite.commands.jsonargparse_internals import imports_only, option_strings


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
