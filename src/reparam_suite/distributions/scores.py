"""The score, grad log q(z), in closed form where it is a line."""

import functools
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, Normal

from reparam_suite.distributions.factors import factors, family
from reparam_suite.distributions.families import OneHotCategorical
from reparam_suite.distributions.parameters import can_be_rebuilt, parameters, rebuilt


def score(q: Distribution, z: Tensor) -> dict[str, Tensor]:
    """grad log q(z_k) with respect to each parameter of q, by name and shaped `[K, *B, ...]` as that is; constants.

    Of bits and one-hot categoricals it is with respect to the logits, whatever PyTorch's were made with.
    Of a family that is none of the suite's each sample takes a pass through the graph of its parameters; a parameter
    that is outside any graph has a score of 0. Empty for a q that names no parameters.
    """
    if family(q) in _SCORES:
        return {name: value for name, (value, _) in _closed_form(q, z).items()}
    own = parameters(q)
    if can_be_rebuilt(q):
        with torch.no_grad():
            # Each sample is given parameters of its own.
            by_sample = {name: value.detach().expand(len(z), *value.shape) for name, value in own.items()}
            log_q, pull_back = torch.func.vjp(lambda values: rebuilt(q, values).log_prob(z), by_sample)[:2]
            (scores,) = pull_back(torch.ones_like(log_q))
            return {name: value.detach() for name, value in scores.items()}
    return _sample_by_sample(q, z.detach(), own)


def score_term(q: Distribution, z: Tensor, credit: Tensor) -> Tensor:
    """A term `[*B]` whose gradient is sum_k credit_k grad log q(z_k), for q's parameters wherever they are.

    z and credit are constants. Where the score is known in closed form, no graph is made through the K samples.
    """
    if family(q) not in _SCORES:
        return (credit * q.log_prob(z)).sum(0)
    event = tuple(range(-len(q.event_shape), 0))
    weight = credit.reshape(*credit.shape, *(1,) * len(event))
    terms = [((weight * value).sum(0) * own).sum(event) for value, own in _closed_form(q, z).values()]
    return functools.reduce(torch.add, terms)


def _sample_by_sample(q: Distribution, z: Tensor, own: dict[str, Tensor]) -> dict[str, Tensor]:
    reached = {name: value for name, value in own.items() if value.requires_grad}
    scores = {
        name: torch.zeros(len(z), *value.shape, dtype=value.dtype, device=value.device) for name, value in own.items()
    }
    if not reached:
        return scores
    with torch.enable_grad():
        log_q = q.log_prob(z)
        for k in range(len(z)):
            of_sample = torch.autograd.grad(
                log_q[k].sum(), list(reached.values()), retain_graph=True, materialize_grads=True
            )
            for name, value in zip(reached, of_sample, strict=True):
                scores[name][k] = value
    return scores


def _closed_form(q: Distribution, z: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    # PyTorch's bits and one-hot categoricals are translated within the graph of their parameters.
    base = factors(q)
    with torch.no_grad():
        return _SCORES[family(q)](base, z)


def _of_a_mean(base: Distribution, z: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    # With respect to the logits. Those of the one-hot family are log-probabilities, which move together: what all of a
    # latent have in common is nothing.
    return {"logits": (z - base.mean, base.logits)}  # type: ignore[attr-defined]


def _of_a_normal(base: Distribution, z: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    loc, scale = parameters(base).values()
    eps = (z - loc) / scale
    return {"loc": (eps / scale, loc), "scale": ((eps.square() - 1.0) / scale, scale)}


_SCORES: Mapping[type[Distribution], Callable[[Distribution, Tensor], dict[str, tuple[Tensor, Tensor]]]] = {
    Bernoulli: _of_a_mean,
    OneHotCategorical: _of_a_mean,
    Normal: _of_a_normal,
}
"""By family: from the factors, the score and the tensor that it is the score of, by name."""
