"""Whether data lie in the support of p(x|z): refusals name the likelihood, the data and both ranges."""

import pytest
import torch
from tests.running.like_a_vae import Own
from tests.running.models import Regression, gaussian
from torch import Tensor, nn
from torch.distributions import Beta, Gamma, Independent, Poisson

from reparam_suite.data import Arrays, Loaders
from reparam_suite.distributions import (
    BernoulliLikelihood,
    Conditional,
    DiagonalNormal,
    DiscretizedLogisticLikelihood,
    NormalLikelihood,
    StandardNormal,
)
from reparam_suite.estimators import Pathwise
from reparam_suite.models import VAE
from reparam_suite.running.compatibility import check_fit
from reparam_suite.runtime.errors import UsageError

GENERATOR = torch.Generator().manual_seed(4)
BITS = (torch.rand(40, 8, generator=GENERATOR) < 0.4).float()
REAL = torch.linspace(-2.3, 3.1, 320).reshape(40, 8)
GREY = torch.linspace(0.0, 1.0, 320).reshape(40, 8)
COUNTS = (torch.arange(320).reshape(40, 8) % 5).int()


def sized(likelihood=None):
    return gaussian(event_shape=(8,), likelihood=likelihood)


class OfRate(nn.Module):
    """A distribution of positive parameters, from z."""

    def __init__(self, make) -> None:
        super().__init__()
        self.make, self.network = make, nn.Linear(2, 8)

    def forward(self, z: Tensor):
        return Independent(self.make(self.network(z).exp()), 1)


def of_parts(make):
    return VAE(
        posterior=Conditional(nn.Linear(8, 4), DiagonalNormal(2)),
        likelihood=OfRate(make),
        prior=StandardNormal((2,)),
        estimator=Pathwise(),
    )


def gamma():
    return of_parts(lambda rate: Gamma(rate, rate, validate_args=False))


def poisson():
    return of_parts(lambda rate: Poisson(rate, validate_args=False))


def arrays(x, **options):
    return Arrays.of(train=x, valid=x, name="rows", **options)


@pytest.mark.parametrize(
    ("model", "data", "message"),
    [
        (sized, lambda: arrays(REAL), "values in [0, 1] for BernoulliLikelihood, got -2.3 to 3.1 from rows (real)"),
        (
            lambda: sized(BernoulliLikelihood()),
            lambda: arrays(COUNTS),
            "values in [0, 1] for BernoulliLikelihood, got 0 to 4 from rows (count)",
        ),
        (
            sized,
            lambda: Loaders(train=[255 * GREY], valid=[255 * GREY], name="rows"),
            "values in [0, 1] for BernoulliLikelihood, got 0 to 255 from rows (real)",
        ),
        (
            lambda: sized(DiscretizedLogisticLikelihood()),
            lambda: arrays(REAL),
            "values in [0, 1] for DiscretizedLogisticLikelihood, got -2.3 to 3.1 from rows (real)",
        ),
        (gamma, lambda: arrays(REAL), "values of at least 0 for Gamma, got -2.3 to 3.1 from rows (real)"),
        (gamma, lambda: arrays(BITS), "values of finite log-probability for Gamma, got 0 to 1 from rows (binary)"),
        (
            lambda: of_parts(lambda rate: Beta(rate, rate, validate_args=False)),
            lambda: arrays(BITS),
            "values of finite log-probability for Beta, got 0 to 1 from rows (binary)",
        ),
        (
            poisson,
            lambda: arrays(GREY * 3),
            "whole numbers of at least 0 for Poisson, got 0 to 3 from rows (real)",
        ),
        (
            Own,
            lambda: arrays(REAL.reshape(20, 16)),
            "values in [0, 1] for FiniteBernoulli, got -2.3 to 3.1 from rows (real)",
        ),
    ],
)
def test_data_outside_of_the_support_are_refused(model, data, message):
    with pytest.raises(UsageError) as refused:
        check_fit(model(), data())
    assert str(refused.value) == f"data: expected {message}"


@pytest.mark.parametrize(
    ("model", "x"),
    [
        (sized, BITS),
        (sized, GREY),
        (lambda: sized(NormalLikelihood()), REAL),
        (lambda: sized(DiscretizedLogisticLikelihood()), GREY),
        (gamma, GREY + 0.1),
        (poisson, COUNTS),
        (lambda: Regression(Pathwise()), REAL.reshape(80, 4)),
    ],
)
def test_data_within_it_are_taken_and_other_models_left_alone(model, x):
    check_fit(model(), arrays(x))


def test_a_likelihood_over_another_shape_is_refused_though_it_would_broadcast():
    model = gaussian(event_shape=(8, 1))
    with pytest.raises(
        UsageError, match=r"expected rows of shape \(8, 1\), the event_shape of GaussianVAE, got \(8,\)"
    ):
        check_fit(model, arrays(BITS))


class Masked(Own):
    """Leaves out missing values."""

    def encode(self, x: Tensor):
        return super().encode(x.nan_to_num())

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        return -(self.outwards(z) - x.nan_to_num()).square().mul(x.isfinite()).sum(-1)


def test_missing_values_are_refused_unless_the_model_does_something_about_them():
    x = BITS.reshape(20, 16).clone()
    x[0, :2] = torch.nan
    data = Loaders(train=[x], valid=[x], name="rows")
    check_fit(Masked(), data)
    with pytest.raises(UsageError, match=r"got 2 of 320 values in a batch of rows that are NaN or infinite"):
        check_fit(Own(), data)
