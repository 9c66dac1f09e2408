"""Where PyTorch keeps the tensors that a distribution was made with: its public names are copies of them."""

from functools import reduce

import pytest
import torch
import torch.distributions as td

from reparam_suite.distributions.torch_internals import HELD_BY, IN_THE_GRAPH

LOC = torch.tensor([[0.3, -0.4], [1.0, 0.2]])
POSITIVE = torch.tensor([[0.7, 1.9], [1.2, 0.8]])
LOWER = torch.tensor([[[1.0, 0.0], [0.5, 2.0]], [[0.4, 0.0], [-0.3, 1.1]]])


def leaf(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.clone().requires_grad_()


# Of each class: a distribution of broadcast parameters, the public names that are copies, and a value of it.
COPIES = {
    td.MultivariateNormal: (
        lambda: td.MultivariateNormal(leaf(LOC), scale_tril=leaf(LOWER[0])),
        ["scale_tril"],
        lambda q: q.log_prob(POSITIVE),
    ),
    td.LowRankMultivariateNormal: (
        lambda: td.LowRankMultivariateNormal(leaf(LOC), leaf(LOC[0].unsqueeze(-1)), leaf(POSITIVE[0])),
        ["cov_factor", "cov_diag"],
        lambda q: q.log_prob(POSITIVE),
    ),
    td.Chi2: (lambda: td.Chi2(leaf(POSITIVE)), ["df"], lambda q: q.log_prob(POSITIVE)),
    td.Beta: (
        lambda: td.Beta(leaf(POSITIVE), leaf(POSITIVE[0])),
        ["concentration1", "concentration0"],
        lambda q: q.log_prob(POSITIVE / 3.0),
    ),
    td.Gumbel: (lambda: td.Gumbel(leaf(LOC[0]), leaf(POSITIVE)), ["loc"], lambda q: q.rsample((5,))),
    td.Wishart: (
        lambda: td.Wishart(leaf(POSITIVE[0] + 5.0), scale_tril=leaf(LOWER[0])),
        ["scale_tril"],
        lambda q: q.log_prob(torch.eye(2)),
    ),
}


def at(q: td.Distribution, path: str) -> torch.Tensor:
    """The attribute of an attribute .. that a dotted path names; a number stands for a place in a list."""
    return reduce(
        lambda held, name: held[int(name)] if name.lstrip("-").isdigit() else getattr(held, name), path.split("."), q
    )


def test_every_class_of_the_table_is_looked_at():
    assert set(COPIES) == set(IN_THE_GRAPH)


@pytest.mark.parametrize("cls", COPIES, ids=lambda cls: cls.__name__)
def test_gradients_reach_the_tensors_that_are_named_and_none_reaches_their_copies(cls):
    make, copies, value_of = COPIES[cls]
    q = make()
    value = value_of(q).sum()
    for path in IN_THE_GRAPH[cls].values():
        (gradient,) = torch.autograd.grad(value, at(q, path), retain_graph=True)
        assert (gradient != 0.0).any(), path
    for name in copies:
        (gradient,) = torch.autograd.grad(value, getattr(q, name), retain_graph=True, allow_unused=True)
        assert gradient is None, f"{name} can be asked for by its public name"


@pytest.mark.parametrize("given", ["logits", "probs"])
@pytest.mark.parametrize("cls", HELD_BY, ids=lambda cls: cls.__name__)
def test_a_distribution_within_another_keeps_what_it_was_made_with(cls, given):
    relaxed = {"temperature": torch.tensor(0.5)} if "Relaxed" in cls.__name__ else {}
    q = cls(**relaxed, **{given: torch.tensor([0.25, 0.75])}, validate_args=False)
    assert not {"logits", "probs"} & set(vars(q))
    while type(q) in HELD_BY:
        q = getattr(q, HELD_BY[type(q)])
    assert given in vars(q)
