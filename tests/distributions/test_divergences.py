"""KL divergences: closed forms against Monte Carlo, and None where there is none."""

import math

import pytest
import torch
import torch.distributions as td
from tests.distributions.foreign import Flow, logistic, tanh_normal
from torch import nn

from reparam_suite.distributions import (
    bernoulli,
    beta,
    categorical,
    dirichlet,
    gamma,
    kl_divergence,
    multivariate_normal,
    normal,
    standard_normal,
    von_mises,
)

A = torch.linspace(-0.7, 0.9, 6, dtype=torch.float64).reshape(2, 3)
C = torch.linspace(0.6, -0.5, 6, dtype=torch.float64).reshape(2, 3)

PAIRS = {
    "normal": (normal(A, A.exp()), normal(C, (C + 0.4).exp())),
    "standard": (normal(A, A.exp()), standard_normal(A)),
    "full": (multivariate_normal(A, torch.eye(3).double() + 0.5 * torch.ones(3, 3).tril(-1)), normal(C, C.exp())),
    "bits": (bernoulli(A), bernoulli(C)),
    "bits of PyTorch": (td.Independent(td.Bernoulli(probs=A.sigmoid()), 1), bernoulli(C)),
    "one-hot": (categorical(A.unsqueeze(-1) * torch.arange(4.0)), categorical(C.unsqueeze(-1) * torch.arange(4.0))),
    "one-hot of PyTorch": (
        td.Independent(td.OneHotCategorical(logits=A.unsqueeze(-1) * torch.arange(4.0)), 1),
        categorical(C.unsqueeze(-1) * torch.arange(4.0)),
    ),
    "gamma": (gamma((A + 1.0).exp(), A.exp()), gamma((C + 1.0).exp(), C.exp())),
    "beta": (beta((A + 1.0).exp(), C.exp()), beta(C.exp(), A.exp())),
    "dirichlet": (dirichlet((A + 1.0).exp().unsqueeze(-2)), dirichlet((C + 1.0).exp().unsqueeze(-2))),
    "laplace": (td.Independent(td.Laplace(A, A.exp()), 1), td.Independent(td.Laplace(C, C.exp()), 1)),
    "tanh of normals": (tanh_normal(torch.cat([A, C], -1)[:, :4]), tanh_normal(torch.cat([C, A], -1)[:, :4])),
    "normals in two axes": (td.Independent(td.Normal(A, A.exp()), 2), td.Independent(td.Normal(C, C.exp()), 2)),
    "normals, no event": (td.Normal(A, A.exp()), td.Normal(C, C.exp())),
    "uniform in a normal": (td.Independent(td.Uniform(A, A + 1.0), 1), normal(C, C.exp())),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_closed_form_is_the_mean_of_the_log_ratio(name):
    q, p = PAIRS[name]
    kl = kl_divergence(q, p)
    assert kl.shape == q.batch_shape
    with torch.random.fork_rng():
        torch.manual_seed(0)
        z = q.sample((200_000,))
        ratio = q.log_prob(z) - p.log_prob(z)
    error = ratio.std(0) / math.sqrt(len(ratio))
    assert ((ratio.mean(0) - kl).abs() < 5.5 * error).all()
    assert (5.5 * error < 0.1 * kl).any(), "an error of a tenth would not be seen"


TRIL = torch.tensor([[0.8, 0.0, 0.0], [0.3, 1.2, 0.0], [-0.5, 0.1, 0.6]], dtype=torch.float64)


@pytest.mark.parametrize("scale_tril", [TRIL, TRIL[None], TRIL * (A.exp() / 2).unsqueeze(-1)], ids=("shared", "1", "2"))
@pytest.mark.parametrize("p", [normal(C, C.exp()), standard_normal(C), normal(C[0], C[1].exp())])
def test_a_covariance_of_all_data_or_of_each_gives_pytorchs_divergence(scale_tril, p):
    q = td.MultivariateNormal(A, scale_tril=scale_tril)
    full = td.MultivariateNormal(p.mean, scale_tril=torch.diag_embed(p.stddev))
    torch.testing.assert_close(kl_divergence(q, p), td.kl_divergence(q, full), rtol=1e-12, atol=0.0)


class Shifted(td.Normal):
    """Another law than its base class: PyTorch would take the divergence of that for its own."""

    def log_prob(self, value):
        return super().log_prob(value - 1.0)


class Registered(td.Distribution):
    """Neither of PyTorch nor ours, with a divergence that its author registered."""

    arg_constraints = {}  # noqa: RUF012


@td.register_kl(Registered, Registered)
def _registered(q, p):
    return torch.full(q.batch_shape, 0.25)


affine = td.TransformedDistribution(td.Normal(A, 1.0), [td.AffineTransform(C.clone().requires_grad_(), 1.0)])
NONE = {
    "another event shape": (normal(A, A.exp()), normal(A[:, :2], A[:, :2].exp())),
    "axes that are no events": (td.Normal(A, A.exp()), normal(C, C.exp())),
    "logistic": (logistic(torch.cat([A, C], -1)[:, :4]), logistic(torch.cat([A, C], -1)[:, :4])),
    "flow": (Flow(nn.Linear(5, 2).double(), torch.zeros(2, 4).double()), standard_normal(A[:, :2])),
    "von Mises": (von_mises(A, A.exp()), von_mises(C, C.exp())),
    "a subclass with another density": (td.Independent(Shifted(A, A.exp()), 1), normal(C, C.exp())),
    "mixture": (td.MixtureSameFamily(td.Categorical(logits=A), td.Normal(A, 1.0)), td.Normal(A[:, 0], 1.0)),
    "parameters of a transform": (td.Independent(affine, 1), td.Independent(affine, 1)),
}


@pytest.mark.parametrize("name", NONE)
def test_where_there_is_none_it_is_none(name):
    assert kl_divergence(*NONE[name]) is None


def test_a_registered_divergence_is_used():
    q = Registered(torch.Size([2]), torch.Size([3]), validate_args=False)
    assert torch.equal(kl_divergence(q, q), torch.full((2,), 0.25))
