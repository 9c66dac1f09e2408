"""The reasons for which an estimator's mathematics does not allow a q."""

import pytest
import torch
import torch.distributions as td
from tests.distributions.foreign import Logistic

from reparam_suite.distributions import bernoulli, categorical, multivariate_normal, normal
from reparam_suite.estimators import latents

ZEROS = torch.zeros(2, 3)
QS = {
    "bits": bernoulli(ZEROS),
    "classes": categorical(torch.zeros(2, 3, 4)),
    "normals": normal(ZEROS, ZEROS + 1),
    "full": multivariate_normal(ZEROS, torch.eye(3).expand(2, 3, 3)),
    "images of bits": td.Independent(td.Bernoulli(logits=torch.zeros(2, 3, 4)), 2),
    "foreign": td.Independent(Logistic(ZEROS, ZEROS + 1), 1),
    "straight-through": td.OneHotCategoricalStraightThrough(logits=ZEROS),
}
ALLOWED = {
    latents.bits: {"bits"},
    latents.one_hot: {"classes"},
    latents.bits_or_one_hot: {"bits", "classes"},
    latents.independent_normals: {"normals"},
    latents.normals: {"normals", "full"},
    latents.reparameterized: {"normals", "full", "foreign"},
}


@pytest.mark.parametrize("reason", ALLOWED, ids=lambda reason: reason.__name__)
def test_what_is_allowed(reason):
    assert {name for name, q in QS.items() if reason(q) is None} == ALLOWED[reason]


@pytest.mark.parametrize(
    ("reason", "name", "message"),
    [
        (latents.bits, "classes", "expected a q of independent bits, event_shape [D], got OneHotCategorical of "),
        (latents.bits, "images of bits", "event_shape [D], got Bernoulli of event_shape [3, 4]"),
        (latents.normals, "foreign", "expected a normal q, event_shape [D], got Logistic of event_shape [3]"),
        (latents.reparameterized, "bits", "expected a q with reparameterized samples (rsample), got Bernoulli of "),
    ],
)
def test_a_reason_names_what_is_expected_and_what_was_given(reason, name, message):
    assert message in reason(QS[name])


def test_logits_are_in_the_graph_whatever_q_was_built_with():
    p = torch.tensor([[0.2, 0.7]], requires_grad=True)
    logits = latents.logits_of(td.Independent(td.Bernoulli(probs=p), 1))
    torch.testing.assert_close(logits.sigmoid(), p)
    (gradient,) = torch.autograd.grad(logits.sum(), p)
    torch.testing.assert_close(gradient, 1.0 / (p * (1.0 - p)))
