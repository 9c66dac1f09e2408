"""The score, grad log q(z), in closed form where it is a line."""

import functools
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, Normal

from reparam_suite.distributions.families import OneHotCategorical, family, parameters, rebuilt


def score(q: Distribution, z: Tensor) -> dict[str, Tensor]:
    """grad log q(z_k) by each parameter of q, by name and shaped `[K, *B, ...]` as that is; constants."""
    with torch.no_grad():
        if family(q) in _SCORES:
            return _SCORES[family(q)](q, z)
        # Each sample is given parameters of its own.
        own = {name: each.detach().expand(len(z), *each.shape) for name, each in parameters(q).items()}
        log_q, pull_back = torch.func.vjp(lambda values: rebuilt(q, values).log_prob(z), own)[:2]
        (scores,) = pull_back(torch.ones_like(log_q))
        return {name: each.detach() for name, each in scores.items()}


def score_term(q: Distribution, z: Tensor, credit: Tensor) -> Tensor:
    """A term `[*B]` whose gradient by q's parameters is sum_k credit_k grad log q(z_k); z and credit are constants.

    Where the score is known in closed form, no graph is made through the K samples.
    """
    if family(q) not in _SCORES:
        return (credit * q.log_prob(z)).sum(0)
    event = tuple(range(-len(q.event_shape), 0))
    weight = credit.reshape(*credit.shape, *(1,) * len(event))
    own = parameters(q)
    terms = [((weight * each).sum(0) * own[name]).sum(event) for name, each in score(q, z).items()]
    return functools.reduce(torch.add, terms)


def _of_a_mean(q: Distribution, z: Tensor) -> dict[str, Tensor]:
    # By the logits. Those of the one-hot family are log-probabilities, which move together: what all of a latent have
    # in common is nothing.
    return {"logits": z - q.mean}


def _of_a_normal(q: Distribution, z: Tensor) -> dict[str, Tensor]:
    loc, scale = parameters(q).values()
    eps = (z - loc) / scale
    return {"loc": eps / scale, "scale": (eps.square() - 1.0) / scale}


_SCORES: Mapping[type[Distribution], Callable[[Distribution, Tensor], dict[str, Tensor]]] = {
    Bernoulli: _of_a_mean,
    OneHotCategorical: _of_a_mean,
    Normal: _of_a_normal,
}
