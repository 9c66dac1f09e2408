"""The parameters of q on the way to an objective."""

import pytest
import torch
import torch.distributions as td
from torch import Tensor, nn
from torch.distributions import Distribution, MultivariateNormal

from reparam_suite.diagnostics import gradient_statistics
from reparam_suite.diagnostics.variational import carriers, free_coordinates, from_leaves, key, of_each_datum, rows_of
from reparam_suite.distributions import (
    BernoulliLikelihood,
    Conditional,
    StandardNormal,
    categorical,
    multivariate_normal,
    normal,
)
from reparam_suite.estimators import Pathwise
from reparam_suite.models import VAE


def test_only_what_is_in_the_graph_carries_a_gradient():
    loc, scale = torch.zeros(3, 2, requires_grad=True), torch.ones(3, 2)
    assert list(carriers(normal(loc, scale))) == ["loc"]
    assert carriers(normal(loc, scale))["loc"].requires_grad


def test_a_parameter_that_all_data_share_has_no_rows_until_it_is_expanded():
    loc, lower = torch.zeros(3, 2, requires_grad=True), torch.eye(2, requires_grad=True)
    q = td.MultivariateNormal(loc, scale_tril=lower)
    assert {name: tuple(value.shape) for name, value in of_each_datum(q).items()} == {
        "loc": (3, 2),
        "scale_tril": (3, 2, 2),
    }
    assert list(rows_of(q, 3)) == ["loc"]
    assert list(rows_of(td.MultivariateNormal(loc, scale_tril=torch.ones(3, 1, 1) * lower), 3)) == ["loc", "scale_tril"]
    assert rows_of(q, 2) == {}


def test_copies_of_q_are_made_from_leaves_and_cut_off_from_the_graph():
    loc, scale = torch.tensor([[1.0, 2.0]], requires_grad=True), torch.tensor([[0.5, 1.0]], requires_grad=True)
    copied, leaves = from_leaves(normal(2.0 * loc, scale), lambda value: value.repeat(3, 1))
    assert copied.mean.tolist() == [[2.0, 4.0]] * 3
    assert all(leaf.is_leaf and leaf.requires_grad for leaf in leaves.values())
    z = torch.tensor([[0.0, 0.0]] * 3)
    (by_loc,) = torch.autograd.grad(copied.log_prob(z).sum(), leaves["loc"])
    # d log N(0; m, s) / dm = -m / s^2
    assert by_loc.tolist() == [[-8.0, -4.0]] * 3


def test_a_gradient_lies_along_what_can_vary():
    lower = torch.eye(2).expand(1, 2, 2)
    gradient = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    q = multivariate_normal(torch.zeros(1, 2), lower)
    assert free_coordinates(q, "scale_tril", gradient).tolist() == [[[1.0, 0.0], [3.0, 4.0]]]
    assert free_coordinates(q, "loc", gradient) is gradient
    logits = torch.tensor([[0.3, -1.0, 0.5]], dtype=torch.float64, requires_grad=True)
    weights = torch.tensor([1.0, -2.0, 5.0], dtype=torch.float64)
    # With respect to the logits that were given, of a function of the normalised ones.
    (expected,) = torch.autograd.grad((logits.log_softmax(-1).sin() * weights).sum(), logits)
    normalised = logits.detach().log_softmax(-1)
    found = free_coordinates(categorical(logits.unsqueeze(1)), "logits", (normalised.cos() * weights).unsqueeze(1))
    torch.testing.assert_close(found.squeeze(1), expected)


def test_a_name_that_a_part_of_the_model_has_is_marked():
    assert key("loc", ["encoder"]) == "loc"
    assert key("loc", ["encoder", "loc"]) == "q.loc"


class OneCovariance(nn.Module):
    """A normal posterior whose covariance all data share, as it is given or expanded to the data."""

    def __init__(self, *, expanded: bool, **covariance: Tensor) -> None:
        super().__init__()
        self.loc = nn.Linear(4, 2)
        self.expanded, self.covariance = expanded, covariance

    def forward(self, x: Tensor) -> Distribution:
        batch = x.shape[:-1] if self.expanded else ()
        return MultivariateNormal(
            self.loc(x), **{name: value.expand(*batch, *value.shape) for name, value in self.covariance.items()}
        )


@pytest.mark.parametrize("name", ["scale_tril", "covariance_matrix"])
def test_a_covariance_that_all_data_share_is_measured_as_one_of_each_datum(name: str):
    found = []
    for expanded in (False, True):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            posterior = OneCovariance(expanded=expanded, **{name: torch.tensor([[0.5, 0.0], [0.0, 2.0]])})
            likelihood = Conditional(nn.Linear(2, 4), BernoulliLikelihood(event_shape=(4,)))
            model = VAE(posterior=posterior, likelihood=likelihood, prior=StandardNormal((2,)), estimator=Pathwise())
            found.append(gradient_statistics(model, torch.ones(3, 4), num_repeats=8))
    shared, own = found
    assert set(shared) == {"encoder", "decoder", "loc"}
    for part, statistics in own.items():
        torch.testing.assert_close(shared[part].variance, statistics.variance)
        torch.testing.assert_close(shared[part].squared_norm, statistics.squared_norm)
