"""Whether the parts of a VAE fit together: refusals at construction name both sides in one line."""

import pytest
import torch
from tests.models.small import gaussian, of_parts
from torch import nn
from torch.distributions import Distribution, Gamma, Independent, LogNormal, Normal

from reparam_suite.distributions import BernoulliPrior, StandardNormal


class Given(nn.Module):
    """A prior that is what it was given, or a posterior over two latents whose parameters hang on x."""

    def __init__(self, make) -> None:
        super().__init__()
        self.make, self.network = make, nn.Linear(4, 3)

    def forward(self, x: torch.Tensor | None = None) -> Distribution:
        return Independent(self.make(torch.ones(3) if x is None else self.network(x).exp()), 1)


def gammas(a):
    return Gamma(a, a)


def log_normals(a):
    return LogNormal(a, 1.0)


def normals(a):
    return Normal(a, 1.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: gaussian(prior=Given(gammas)),
            "prior: expected support of q(z|x), Normal (real vectors), got Gamma (GreaterThanEq(lower_bound=0.0))",
        ),
        (
            lambda: gaussian(prior=BernoulliPrior((3,))),
            "prior: expected support of q(z|x), Normal (real vectors), got FiniteBernoulli (Boolean)",
        ),
        (
            lambda: gaussian(prior=StandardNormal((4,))),
            "prior: expected the event_shape of the posterior, (3,), got (4,)",
        ),
    ],
)
def test_a_prior_of_other_values_than_the_posterior_is_refused(make, message):
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the whole message is compared
        make()
    assert str(refused.value) == message


@pytest.mark.parametrize("prior", [gammas, log_normals, normals])
def test_a_prior_may_have_more_values_than_the_posterior(prior):
    of_parts(posterior=Given(log_normals), prior=Given(prior))
