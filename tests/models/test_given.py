"""Numbers of any type that users hand to a model outside of training, or one message."""

import numpy as np
import pytest
import torch
from tests.models.small import bits, discrete, gaussian, of_parts

X = bits(5, 12)


@pytest.fixture(scope="module")
def model():
    return gaussian().eval()


@pytest.mark.parametrize("dtype", ["float64", "float16", ">f8", "uint8", "int64", "uint16", "bool"])
def test_arrays_of_any_real_numbers_are_taken(model, dtype):
    given = X.numpy().astype(dtype)
    given.flags.writeable = False
    assert torch.equal(model.encode(given).mean, model.encode(X).mean)
    assert torch.equal(model.reconstruct(given), model.reconstruct(X))
    z = np.ones((4, 2, 3), dtype)
    assert torch.equal(model.decode(z).mean, model.decode(torch.ones(4, 2, 3)).mean)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.uint8, torch.bool])
def test_tensors_of_any_real_numbers_are_taken(dtype):
    for model in (gaussian().eval(), discrete(num_layers=2).double().eval()):
        like = next(model.parameters()).dtype
        for found, expected in zip(model.posteriors(X.to(dtype)), model.posteriors(X.to(like)), strict=True):
            assert found.mean.dtype == expected.mean.dtype == like
        with torch.random.fork_rng():
            values = []
            for x in (X.to(dtype), X.to(like)):
                torch.manual_seed(0)
                values.append(model.bound(x, 3))
        assert torch.equal(*values)


def test_no_data_give_nothing(model):
    assert model.encode(X[:0]).mean.shape == (0, 3)
    assert model.bound(X[:0], 2).shape == (0,)


def test_one_datum_is_a_batch_of_no_axes(model):
    torch.testing.assert_close(model.encode(X[0]).mean, model.encode(X).mean[0])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: m.encode(X[:, :7]), ValueError, "x: expected shape [*B, 12], got [5, 7]"),
        (lambda m: m(X[:, :7]), ValueError, "x: expected shape [*B, 12], got [5, 7]"),
        (lambda m: m.bound(X[:, :7].numpy(), 2), ValueError, "x: expected shape [*B, 12], got [5, 7]"),
        (lambda m: m.reconstruct(X.new_zeros(())), ValueError, "x: expected shape [*B, 12], got []"),
        (lambda m: m.posteriors(X[:, :7]), ValueError, "x: expected shape [*B, 12], got [5, 7]"),
        (lambda m: m.decode(X), ValueError, "z: expected shape [*B, 3], got [5, 12]"),
        (lambda m: m.bound(X, 0), ValueError, "num_samples: expected an integer of at least 1, got 0"),
        (lambda m: m.bound(X, num_samples=2.5), TypeError, "num_samples: expected an integer of at least 1, got 2.5"),
        (lambda m: m.sample(0), ValueError, "n: expected an integer of at least 1, got 0"),
        (lambda m: m.encode(X.tolist()), TypeError, "x: expected a tensor or an array, got list"),
        (lambda m: m.encode(X * 1j), TypeError, "x: expected real numbers, got torch.complex64"),
        (lambda m: m.encode(np.array(["a"] * 12)), TypeError, "x: expected real numbers, got <U1"),
    ],
)
def test_anything_else_is_refused_in_one_line(model, call, error, message):
    with pytest.raises(error) as refused:
        call(model)
    assert str(refused.value) == message


def test_a_model_of_parts_knows_its_shapes():
    with pytest.raises(ValueError, match=r"^z: expected shape \[\*B, 3\], got \[2\]$"):
        of_parts().decode(torch.zeros(2))
