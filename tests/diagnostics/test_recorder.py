"""Hooks on a model's layers: what they keep, and that none stays behind."""

import pytest
import torch
from tests.diagnostics.cases import data
from tests.diagnostics.own_models import SIZES, PlainVAE, around_the_layers, plain_networks, rows

from reparam_suite.diagnostics import gradient_statistics
from reparam_suite.estimators import Pathwise, StraightThrough
from reparam_suite.models import DiscreteVAE, GaussianVAE


def test_an_objective_that_samples_a_learned_prior_is_not_misled():
    class Matched(PlainVAE):
        def expectation(self, x):
            target = super().expectation(x)
            torch.manual_seed(0)
            apart = self.prior().rsample((1,)).square().sum() * x.sum(-1)
            return type(target)(q=target.q, f=target.f, exact=target.exact - 0.1 * apart)

    model, x = Matched(*plain_networks(), latent_size=2).double(), rows(3)
    assert gradient_statistics(model, x)["prior"].road == "datum by datum"


def test_no_hook_stays_behind():
    for model in (GaussianVAE(**SIZES), *around_the_layers().values()):
        gradient_statistics(model, data(2).to(next(model.parameters()).dtype))
        assert not any(module._forward_hooks for module in model.modules())


def test_no_hook_stays_behind_after_an_error():
    model = DiscreteVAE(**SIZES, estimator=StraightThrough())
    model.estimator = Pathwise()
    with pytest.raises(ValueError, match="Pathwise: expected a q with reparameterized samples"):
        gradient_statistics(model, data(2).float())
    assert not any(module._forward_hooks for module in model.modules())
    assert model.training
