"""The independent factors of a distribution, and the family that they are of."""

from torch.distributions import (
    Bernoulli,
    Distribution,
    Independent,
    Normal,
    OneHotCategoricalStraightThrough,
)
from torch.distributions import OneHotCategorical as TorchOneHotCategorical

from reparam_suite.distributions.families import FiniteBernoulli, OneHotCategorical, UnitNormal
from reparam_suite.distributions.numbers import finite

_TRANSLATED: dict[type[Distribution], type[Distribution]] = {
    Bernoulli: FiniteBernoulli,
    TorchOneHotCategorical: OneHotCategorical,
    OneHotCategoricalStraightThrough: OneHotCategorical,
}
_FAMILY: dict[type[Distribution], type[Distribution]] = {
    FiniteBernoulli: Bernoulli,
    UnitNormal: Normal,
    TorchOneHotCategorical: OneHotCategorical,
    OneHotCategoricalStraightThrough: OneHotCategorical,
}


def factors(q: Distribution) -> Distribution:
    """The independent factors of `q`: `Independent` taken off, PyTorch's bits and one-hot categoricals made ours."""
    while isinstance(q, Independent):
        q = q.base_dist
    return _as_ours(q)


def family(q: Distribution) -> type[Distribution]:
    """The class of the factors of `q`; Bernoulli, Normal and our OneHotCategorical whatever their variant."""
    while isinstance(q, Independent):
        q = q.base_dist
    return _FAMILY.get(type(q), type(q))


def translated(q: Distribution) -> Distribution:
    """`q` with PyTorch's bits and one-hot categoricals made ours; any other `q` itself."""
    if not isinstance(q, Independent):
        return _as_ours(q)
    base = translated(q.base_dist)
    if base is q.base_dist:
        return q
    return Independent(base, q.reinterpreted_batch_ndims, validate_args=False)


def _as_ours(q: Distribution) -> Distribution:
    made = _TRANSLATED.get(type(q))
    return q if made is None else made(logits=finite(q.logits), validate_args=False)  # type: ignore[call-arg, attr-defined]
