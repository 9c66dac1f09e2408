"""Squares of float32 numbers that are beyond float32."""

import math

import pytest
import torch

from reparam_suite.diagnostics.wide_numbers import doubled, squared_length


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
def test_the_squared_length_of_numbers_whose_squares_float32_does_not_hold(size):
    numbers = [3.0, -4.0, 12.0]
    found = squared_length(torch.tensor([size * number for number in numbers]))
    assert found.dtype == torch.float64
    assert math.isclose(float(found), 169.0 * size**2, rel_tol=1e-6)


def test_numbers_keep_their_value_and_half_of_them_is_not_rounded():
    assert doubled(torch.tensor([0.1])).item() == torch.tensor([0.1]).item() != 0.1
    assert squared_length(torch.zeros(0)) == 0.0
