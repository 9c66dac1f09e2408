"""Assertions in the form of the suite's messages."""

import re

import pytest
import torch

from reparam_suite.testing.assertions import expect, expect_close, is_close, shown
from reparam_suite.testing.statistics import Draws


def draws(*means: float, error: float = 0.1) -> Draws:
    return Draws(torch.tensor(means), torch.full((len(means),), error))


def test_a_message_says_what_was_expected_and_what_was_found():
    expect(True, "length", "3", 4)
    with pytest.raises(AssertionError, match=r"^length: expected 3, got 4$"):
        expect(False, "length", "3", 4)


def test_numbers_have_four_digits():
    assert shown(torch.tensor([[1.234567, 2e-9], [3.0, -123456.0]])) == "[1.235, 2e-09, 3, -1.235e+05]"


def test_means_within_the_threshold_are_the_same_number():
    assert is_close(draws(0.0, 1.0), torch.tensor([0.0, 0.46]))
    assert not is_close(draws(0.0, 1.0), torch.tensor([0.0, 0.44]))
    expect_close("value", draws(0.0, 1.0), torch.tensor([0.5, 0.46]))


def test_the_worst_coordinate_is_named_with_its_distance():
    message = "coordinate 1 of the value: expected 0.4, got 1: 6.0 standard errors apart, at most 5.5 are allowed"
    with pytest.raises(AssertionError, match=f"^{re.escape(message)}$"):
        expect_close("value", draws(0.55, 1.0), torch.tensor([0.0, 0.4]))
    with pytest.raises(AssertionError, match=r"^value: expected 0.4, got 1: 6.0 standard errors"):
        expect_close("value", draws(1.0), torch.tensor([0.4]))
