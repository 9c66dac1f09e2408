"""Checks of constructor arguments: what is taken, and the error of what is not. Constructors: tests/test_numbers.py."""

import numpy as np
import pytest
import torch

from reparam_suite.runtime import checks
from reparam_suite.runtime.errors import ArgumentTypeError, ArgumentValueError


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3)])
def test_integers_are_taken_as_python_numbers(value):
    assert type(checks.integer("n", value, least=3)) is int


@pytest.mark.parametrize("value", [3.0, "3", None, True, np.float32(3), np.bool_(True), torch.tensor(True), [3]])
def test_what_is_no_integer_is_a_type_error(value):
    with pytest.raises(ArgumentTypeError, match="n: expected an integer of at least 1, got") as error:
        checks.integer("n", value, least=1)
    assert isinstance(error.value, TypeError)


def test_a_number_out_of_range_is_a_value_error():
    with pytest.raises(ArgumentValueError, match="n: expected an integer of at least 1, got 0") as error:
        checks.integer("n", 0, least=1)
    assert isinstance(error.value, ValueError)


@pytest.mark.parametrize(
    ("value", "kind"), [(7, TypeError), ("", ValueError), ("  ", ValueError), ("a\x1b[1m", ValueError)]
)
def test_a_name_can_be_shown(value, kind):
    assert checks.name("name", "grey-digits") == "grey-digits"
    with pytest.raises(kind, match="name: expected a"):
        checks.name("name", value)


def test_a_seed_is_one_that_every_generator_takes():
    assert checks.seed("seed", np.int64(3)) == 3
    assert checks.seeds("seeds", range(3)) == [0, 1, 2]
    with pytest.raises(ArgumentValueError, match="seed: expected 0 to 4294967295, got 4294967296"):
        checks.seed("seed", 2**32)
    with pytest.raises(ArgumentTypeError, match="seeds: expected an integer, got True"):
        checks.seeds("seeds", [0, True])
    for wrong in ("12", 5):
        with pytest.raises(ArgumentTypeError, match=f"seeds: expected a list of integers, got {wrong!r}"):
            checks.seeds("seeds", wrong)
