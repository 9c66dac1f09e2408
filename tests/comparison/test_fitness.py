"""What cannot be measured is refused before anything is."""

import pytest
import torch
from tests.comparison.small import SIZES
from torch import nn

from reparam_suite.comparison import compare_gradients
from reparam_suite.estimators import DisARM
from reparam_suite.models import DiscreteVAE


def test_weights_that_are_not_finite_are_refused(x):
    model = DiscreteVAE(**SIZES)
    name, parameter = next(iter(model.named_parameters()))
    with torch.no_grad():
        parameter.view(-1)[0] = torch.nan
    with pytest.raises(ValueError, match=f"model: expected finite weights, got NaN in {name} of DiscreteVAE"):
        compare_gradients(model, x, [DisARM()])
    with torch.no_grad():
        parameter.view(-1)[0] = torch.inf
    with pytest.raises(ValueError, match="got an infinite one"):
        compare_gradients(model, x, [DisARM()])


def test_a_model_without_trainable_parameters_is_refused(x):
    model = DiscreteVAE(**SIZES).requires_grad_(False)
    with pytest.raises(ValueError, match="model: expected trainable parameters, got none in DiscreteVAE"):
        compare_gradients(model, x, [DisARM()])


def test_a_model_without_an_expectation_is_refused(x):
    with pytest.raises(TypeError, match="with expectation"):
        compare_gradients(nn.Linear(6, 3), x, [DisARM()])


def test_a_batch_that_the_model_does_not_take_is_refused_by_both_sides(x):
    message = r"DiscreteVAE.expectation takes, data of shape \(6,\), got float32 of shape \(20, 5\): "
    with pytest.raises(ValueError, match=message):
        compare_gradients(DiscreteVAE(**SIZES), x[:, :5], [DisARM()])


@pytest.mark.parametrize("number", [0, 24, 36])
def test_a_number_of_gradients_that_does_not_divide_is_refused(x, number):
    with pytest.raises(ValueError, match=f"num_repeats: expected a multiple of 8, at least 32, got {number}"):
        compare_gradients(DiscreteVAE(**SIZES), x, [DisARM()], num_repeats=number)
