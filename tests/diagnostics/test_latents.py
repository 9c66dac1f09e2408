"""Use of the latents against the definitions, on posteriors whose figures can be computed one by one."""

import copy
import math

import pytest
import torch
from tests.distributions.foreign import Switches
from torch import nn
from torch.distributions import Bernoulli, Independent, Laplace

from reparam_suite.diagnostics import LatentUse, kl_per_latent, latent_use, latents_of
from reparam_suite.distributions import (
    FactorizedCategorical,
    FullCovarianceNormal,
    bernoulli,
    categorical,
    kl_divergence,
    multivariate_normal,
    normal,
)
from reparam_suite.models import VAE, DiscreteVAE, GaussianVAE

SIZES = {"event_shape": (6,), "hidden_sizes": (5,)}


def fitting(model: VAE) -> LatentUse:
    found = latents_of(model, torch.zeros(2, 6))
    assert not isinstance(found, str)
    return latent_use(*found)


def test_bits():
    torch.manual_seed(0)
    metric = fitting(DiscreteVAE(**SIZES, latent_size=3))
    # The first latent says which half the datum is in, the second is ignored, the third is always 1 against the prior.
    logits = torch.tensor([[9.0, 0.0, 12.0], [-9.0, 0.0, 12.0]]).double().repeat(8, 1)
    prior = bernoulli(torch.zeros(3).double())
    metric.update(bernoulli(logits[:5]), prior)
    metric.update(bernoulli(logits[5:]), prior)
    use = metric.compute()
    assert use["active_units"] == 1
    torch.testing.assert_close(use["kl_per_latent"].sum(), kl_divergence(bernoulli(logits), prior).mean())
    torch.testing.assert_close(kl_per_latent(bernoulli(logits), prior), use["kl_per_latent"])
    torch.testing.assert_close(use["code_perplexity"], torch.tensor([2.0, 2.0, 1.0]).double(), rtol=1e-3, atol=1e-3)
    expected = torch.tensor([0.0, 0.0, math.log(2.0)]).double()
    torch.testing.assert_close(use["aggregate_kl"], expected, rtol=1e-3, atol=1e-3)


def test_classes():
    torch.manual_seed(0)
    model = DiscreteVAE(**SIZES, latent_size=2, posterior=FactorizedCategorical(num_classes=4))
    metric = fitting(model)
    logits, prior_logits = torch.randn(10, 2, 4).double() * 2.0, torch.randn(2, 4).double()
    q, p = categorical(logits), categorical(prior_logits)
    metric.update(q, p)
    use = metric.compute()
    probabilities = logits.softmax(-1)
    aggregate, prior = probabilities.mean(0), prior_logits.softmax(-1)
    torch.testing.assert_close(use["kl_per_latent"].sum(), kl_divergence(q, p).mean())
    torch.testing.assert_close(use["aggregate_kl"], (aggregate * (aggregate / prior).log()).sum(-1))
    torch.testing.assert_close(use["code_perplexity"], (-(aggregate * aggregate.log()).sum(-1)).exp())
    variance = probabilities.var(0, unbiased=False).sum(-1)
    assert use["active_units"] == (variance > 0.01).sum()


@pytest.mark.parametrize("full", [False, True])
def test_normals(full: bool):
    torch.manual_seed(0)
    options = {"posterior": FullCovarianceNormal()} if full else {}
    metric = fitting(GaussianVAE(**SIZES, latent_size=3, **options))
    loc = torch.randn(4_000, 3).double() * torch.tensor([0.8, 0.05, 0.3])
    scale = torch.tensor([0.6, 1.0, 0.9]).double().expand_as(loc)
    q = multivariate_normal(loc, torch.diag_embed(scale)) if full else normal(loc, scale)
    p = normal(torch.full((3,), 0.2).double(), torch.tensor([1.0, 1.5, 0.9]).double())
    metric.update(q, p)
    use = metric.compute()
    assert use["active_units"] == 2
    torch.testing.assert_close(use["kl_per_latent"].sum(), kl_divergence(q, p).mean())
    # A normal mixture of normals is normal: the bound is then tight.
    aggregate = normal(loc.mean(0), (scale[0].square() + loc.var(0, unbiased=False)).sqrt())
    torch.testing.assert_close(use["aggregate_kl"].sum(), kl_divergence(aggregate, p))
    assert "code_perplexity" not in use


@pytest.mark.parametrize("of", [Switches, lambda p: Independent(Bernoulli(probs=p), 1)], ids=["foreign", "probs"])
def test_bits_without_logits(of):
    p_of_q, p_of_p = (
        torch.rand(8, 3, generator=torch.Generator().manual_seed(0)).double(),
        torch.full((3,), 0.3).double(),
    )
    metric, same = (latent_use(q, p) for q, p in [(of(p_of_q), of(p_of_p)), (bernoulli(p_of_q), bernoulli(p_of_p))])
    metric.update(of(p_of_q), of(p_of_p))
    same.update(bernoulli(p_of_q.logit()), bernoulli(p_of_p.logit()))
    expected = same.compute()
    for name, value in metric.compute().items():
        torch.testing.assert_close(value, expected[name])
    certain = latent_use(of(torch.ones(8, 3)), of(p_of_p))
    certain.update(of(torch.ones(8, 3)), of(p_of_p))
    torch.testing.assert_close(certain.compute()["kl_per_latent"], -p_of_p.log())


def test_uneven_shards_merge_to_the_whole():
    torch.manual_seed(0)
    whole = fitting(GaussianVAE(**SIZES, latent_size=3))
    parts = [copy.deepcopy(whole) for _ in range(2)]
    loc, p = torch.randn(9, 3), normal(torch.zeros(3), torch.ones(3))
    whole.update(normal(loc, torch.ones(9, 3)), p)
    for part, shard in zip(parts, loc.split([2, 7]), strict=True):
        part.update(normal(shard, torch.ones_like(shard)), p)
    parts[0].merge_state(parts[1])
    merged = parts[0].compute()
    for name, value in whole.compute().items():
        torch.testing.assert_close(merged[name], value)


def test_of_several_layers_it_is_the_top_one():
    torch.manual_seed(0)
    model, x = DiscreteVAE(**SIZES, latent_size=3, num_layers=2, prior="learned"), torch.rand(40, 6).round()
    q, p = latents_of(model, x)
    assert torch.equal(p.base_dist.logits, model.prior.prior.logits)
    torch.manual_seed(1)
    z = model.posterior(x).sample()
    torch.manual_seed(1)
    assert torch.equal(latents_of(model, x)[0].mean, model.prior.posterior(z).mean)
    assert latent_use(q, p) is not None


def test_other_latents_have_a_reason_and_no_metric():
    q = Independent(Laplace(torch.zeros(4, 3), torch.ones(4, 3)), 1)
    p = Independent(Laplace(torch.zeros(3), torch.ones(3)), 1)
    assert latent_use(q, p) is None
    assert latent_use(normal(torch.zeros(4, 3), torch.ones(4, 3)), p) is None
    model = nn.Module()
    model.posterior, model.prior = (lambda _: q), (lambda: p)
    assert latents_of(model, torch.zeros(4, 6)) == (
        "use of latents: expected bits, categorical or normal latents with a prior of the same family, "
        "got Laplace and Laplace"
    )
    assert latents_of(nn.Linear(6, 3), torch.zeros(4, 6)) == (
        "use of latents: expected a model with posterior(x) and prior(), got Linear"
    )
