"""The tensors that carry a gradient: samples and log-probabilities reach every one that is named."""

import pytest
import torch
import torch.distributions as td
from tests.distributions.foreign import Flow, logistic, tanh_normal, truncated
from torch import nn

from reparam_suite.distributions import (
    bernoulli,
    beta,
    categorical,
    dirichlet,
    gamma,
    is_reparameterized,
    multivariate_normal,
    normal,
    parameters,
    rebuilt,
    standard_normal,
    von_mises,
)

B, D = 2, 3


def leaf(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator).requires_grad_()


def positive(*shape: int, seed: int = 0) -> torch.Tensor:
    return leaf(*shape, seed=seed).detach().exp().add(0.1).requires_grad_()


def lower(*batch: int) -> torch.Tensor:
    factor = leaf(*batch, D, D).detach().tril(-1) + torch.diag_embed(positive(*batch, D).detach())
    return factor.requires_grad_()


def covariance(*batch: int) -> torch.Tensor:
    factor = lower(*batch).detach()
    return (factor @ factor.mT).requires_grad_()


def probability(*shape: int) -> torch.Tensor:
    return leaf(*shape).detach().sigmoid().requires_grad_()


def single(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().float().requires_grad_()


ONE = torch.ones((), dtype=torch.float64)

# Each with the names of its parameters.
DISTRIBUTIONS = {
    "normal": (lambda: normal(leaf(B, D), positive(B, D)), {"loc", "scale"}),
    "multivariate_normal": (lambda: multivariate_normal(leaf(B, D), lower(B)), {"loc", "scale_tril"}),
    "bernoulli": (lambda: bernoulli(leaf(B, D)), {"logits"}),
    "categorical": (lambda: categorical(leaf(B, D, 4)), {"logits"}),
    "gamma": (lambda: gamma(positive(B, D), positive(B, D)), {"concentration", "rate"}),
    "beta": (lambda: beta(positive(B, D), positive(B, D)), {"concentration"}),
    "dirichlet": (lambda: dirichlet(positive(B, D, 4)), {"concentration"}),
    "von_mises": (lambda: von_mises(leaf(B, D), positive(B, D)), {"loc", "concentration"}),
    "Logistic": (lambda: logistic(leaf(B, 4)), {"loc", "scale"}),
    "TanhNormal": (lambda: tanh_normal(leaf(B, 4)), {"loc", "scale"}),
    "Truncated": (lambda: truncated(leaf(B, 2)), {"logit"}),
    "Bernoulli(probs)": (lambda: td.Independent(td.Bernoulli(probs=probability(B, D)), 1), {"probs"}),
    "OneHot(logits)": (lambda: td.OneHotCategorical(logits=leaf(B, 4)), {"logits"}),
    "OneHot(probs)": (lambda: td.OneHotCategorical(probs=positive(B, 4)), {"probs"}),
    "Categorical": (lambda: td.Categorical(logits=leaf(B, 4)), {"logits"}),
    "Binomial": (lambda: td.Binomial(5, logits=leaf(B, D)), {"total_count", "logits"}),
    "Geometric": (lambda: td.Geometric(logits=leaf(B, D)), {"logits"}),
    "NegativeBinomial": (lambda: td.NegativeBinomial(positive(B, D), logits=leaf(B, D)), {"total_count", "logits"}),
    "ContinuousBernoulli": (lambda: td.ContinuousBernoulli(logits=leaf(B, D)), {"logits"}),
    "Multinomial": (lambda: td.Multinomial(3, logits=leaf(B, 4)), {"logits"}),
    "RelaxedBernoulli": (lambda: td.RelaxedBernoulli(ONE, logits=leaf(B, D)), {"logits"}),
    "RelaxedOneHot": (lambda: td.RelaxedOneHotCategorical(ONE, probs=positive(B, 4)), {"probs"}),
    "Poisson": (lambda: td.Poisson(positive(B, D)), {"rate"}),
    "Exponential": (lambda: td.Exponential(positive(B, D)), {"rate"}),
    "Laplace": (lambda: td.Laplace(leaf(B, D), positive(B, D)), {"loc", "scale"}),
    "Cauchy": (lambda: td.Cauchy(leaf(B, D), positive(B, D)), {"loc", "scale"}),
    "HalfCauchy": (lambda: td.HalfCauchy(positive(B, D)), {"scale"}),
    "HalfNormal": (lambda: td.HalfNormal(positive(B, D)), {"scale"}),
    "Gumbel": (lambda: td.Gumbel(leaf(B, D), positive(B, D)), {"loc", "scale"}),
    "StudentT": (lambda: td.StudentT(positive(B, D), leaf(B, D), positive(B, D)), {"df", "loc", "scale"}),
    "Chi2": (lambda: td.Chi2(positive(B, D)), {"concentration"}),
    "FisherSnedecor": (lambda: td.FisherSnedecor(positive(B, D), positive(B, D)), {"df1", "df2"}),
    "InverseGamma": (lambda: td.InverseGamma(positive(B, D), positive(B, D)), {"concentration", "rate"}),
    "Pareto": (lambda: td.Pareto(positive(B, D), positive(B, D)), {"scale", "alpha"}),
    "GeneralizedPareto": (  # whose samples are float32
        lambda: td.GeneralizedPareto(*(single(made) for made in (leaf(B, D), positive(B, D), positive(B, D)))),
        {"loc", "scale", "concentration"},
    ),
    "Weibull": (lambda: td.Weibull(positive(B, D), positive(B, D)), {"scale", "concentration"}),
    "Kumaraswamy": (lambda: td.Kumaraswamy(positive(B, D), positive(B, D)), {"concentration1", "concentration0"}),
    "LogNormal": (lambda: td.LogNormal(leaf(B, D), positive(B, D)), {"loc", "scale"}),
    "LogisticNormal": (lambda: td.LogisticNormal(leaf(B, D), positive(B, D)), {"loc", "scale"}),
    "Uniform": (lambda: td.Uniform(leaf(B, D), 5.0 + positive(B, D)), {"low", "high"}),
    "VonMises of PyTorch": (lambda: td.VonMises(leaf(B, D), positive(B, D)), {"loc", "concentration"}),
    "MultivariateNormal(covariance)": (lambda: td.MultivariateNormal(leaf(B, D), covariance(B)), {"loc", "scale_tril"}),
    "LowRank": (
        lambda: td.LowRankMultivariateNormal(leaf(B, D), leaf(B, D, 2), positive(B, D)),
        {"loc", "cov_factor", "cov_diag"},
    ),
    "Wishart": (lambda: td.Wishart(50.0 + positive(B), scale_tril=lower(B)), {"df", "scale_tril"}),
    "LKJCholesky": (lambda: td.LKJCholesky(3, positive(B)), {"concentration"}),
    "mixture": (
        lambda: td.MixtureSameFamily(td.Categorical(logits=leaf(B, 4)), td.Normal(leaf(B, 4), positive(B, 4))),
        {"mixture.logits", "component.loc", "component.scale"},
    ),
    "affine of a normal": (
        lambda: td.TransformedDistribution(
            td.Normal(leaf(B, D), positive(B, D)),
            [
                td.AffineTransform(leaf(D), positive(D)),
                td.ComposeTransform([td.ExpTransform(), td.PowerTransform(positive(D))]),
            ],
        ),
        {"loc", "scale", "transforms.0.loc", "transforms.0.scale", "transforms.1.1.exponent"},
    ),
}


@pytest.mark.filterwarnings("ignore:Low df values", "ignore:Singular sample")
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_log_probabilities_and_samples_depend_on_every_parameter_that_is_named(name):
    make, expected = DISTRIBUTIONS[name]
    q = make()
    own = parameters(q)
    assert set(own) == expected
    with torch.random.fork_rng():
        torch.manual_seed(0)
        z = q.sample((200,))
        carrying = {named: value for named, value in own.items() if value.requires_grad}
        log_q = q.log_prob(z).square().sum()
        reached = torch.autograd.grad(log_q, list(carrying.values()), allow_unused=True, retain_graph=True)
        assert carrying.keys() >= expected - {"total_count"}
        for named, gradient in zip(carrying, reached, strict=True):
            assert gradient is not None, named
            assert (gradient != 0).any(), named
        if is_reparameterized(q) and name != "Wishart":  # whose samples PyTorch cannot differentiate
            reached = torch.autograd.grad(q.rsample((200,)).square().sum(), list(carrying.values()), allow_unused=True)
            for named, gradient in zip(carrying, reached, strict=True):
                assert gradient is not None, named
                assert (gradient != 0).any(), named


def test_of_alternatives_it_is_the_one_that_it_was_made_with_whatever_was_asked_for_since():
    probs = positive(B, 4)
    for q in (
        td.Bernoulli(probs=probs.detach().sigmoid()),
        td.Categorical(probs=probs),
        td.Geometric(probs=probs.detach().sigmoid()),
    ):
        assert q.logits.shape == q.probs.shape, "now both are there"
        assert set(parameters(q)) == {"probs"}
    q = td.Categorical(logits=leaf(B, 4))
    assert q.probs.shape == (B, 4)
    assert set(parameters(q)) == {"logits"}


def test_a_flow_names_none():
    assert parameters(Flow(nn.Linear(3, 2), torch.zeros(B, 2))) == {}


def test_a_standard_normal_names_constants():
    own = parameters(standard_normal(torch.zeros(B, D)))
    assert not any(value.requires_grad for value in own.values())


def test_what_stands_above_the_diagonal_is_no_parameter():
    factor = torch.randn(B, D, D, dtype=torch.float64).requires_grad_()
    q = multivariate_normal(leaf(B, D), factor)
    z = q.rsample((50,))
    reached = torch.autograd.grad((q.log_prob(z) + z.square().sum(-1)).sum(), factor)[0]
    above = torch.ones(D, D, dtype=torch.bool).triu(1)
    assert (reached[:, above] == 0).all()
    assert (reached[:, ~above] != 0).all()
    assert torch.equal(q.scale_tril, factor.tril())


def test_a_beta_is_rebuilt_from_both_concentrations():
    q = beta(positive(B, D), positive(B, D, seed=1))
    assert parameters(q)["concentration"].shape == (B, D, 2)
    again = rebuilt(q, parameters(q))
    assert torch.equal(again.base_dist.concentration0, q.base_dist.concentration0)
