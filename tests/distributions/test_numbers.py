"""Numbers kept finite, widened, normalised."""

import math

import pytest
import torch

from reparam_suite.distributions.numbers import finite, softmax, widened


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_logits_stay_and_infinite_ones_become_finite_products_included(dtype):
    logits = torch.tensor([-math.inf, -30.0, 0.0, 2.5, math.inf], dtype=dtype)
    limited = finite(logits)
    assert torch.equal(limited[1:4], logits[1:4])
    assert (limited[0] * limited[4]).isfinite()
    assert limited.exp()[0] <= torch.finfo(dtype).tiny


def test_no_gradient_beyond_the_limits():
    logits = torch.tensor([-1e16, 1.0, 1e16], requires_grad=True)
    finite(logits).sum().backward()
    assert logits.grad.tolist() == [0.0, 1.0, 0.0]


def test_narrow_numbers_are_widened_and_wide_ones_are_themselves():
    wide = torch.ones(2, dtype=torch.float64)
    assert widened(wide.half()).dtype == widened(wide.bfloat16()).dtype == torch.float32
    assert widened(wide).dtype == torch.float64
    single = wide.float()
    assert widened(single) is single


@pytest.mark.parametrize("shape", [(5,), (4, 3), (2, 4, 3)])
def test_softmax_over_the_last_axis(shape):
    logits = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(softmax(logits), logits.softmax(-1))
