"""The tensors that carry a distribution's gradient, by name; the same family with other ones."""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from torch import Tensor
from torch.distributions import (
    Bernoulli,
    Beta,
    Dirichlet,
    Distribution,
    Gamma,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    TransformedDistribution,
)
from torch.distributions.utils import probs_to_logits

from reparam_suite.distributions.factors import family
from reparam_suite.distributions.families import (
    FiniteBernoulli,
    OneHotCategorical,
    UnitNormal,
    bits,
    independent_as,
    normals,
)
from reparam_suite.distributions.torch_internals import ALTERNATIVES, HELD_BY, IN_THE_GRAPH
from reparam_suite.distributions.transforms import tensors_of
from reparam_suite.distributions.von_mises import VonMises


def _beta(*, concentration: Tensor) -> Beta:
    return Beta(concentration[..., 0], concentration[..., 1], validate_args=False)


def _bits(*, logits: Tensor | None = None, probs: Tensor | None = None) -> Distribution:
    return bits(probs_to_logits(cast("Tensor", probs), is_binary=True) if logits is None else logits)


def _one_hot(*, logits: Tensor | None = None, probs: Tensor | None = None) -> Distribution:
    return OneHotCategorical(
        logits=probs_to_logits(cast("Tensor", probs)) if logits is None else logits, validate_args=False
    )


# The families that can be rebuilt from their parameters alone.
_MAKERS: Mapping[type[Distribution], Callable[..., Distribution]] = {
    Normal: normals,
    MultivariateNormal: functools.partial(MultivariateNormal, validate_args=False),
    Bernoulli: _bits,
    OneHotCategorical: _one_hot,
    Gamma: functools.partial(Gamma, validate_args=False),
    Beta: _beta,
    Dirichlet: functools.partial(Dirichlet, validate_args=False),
    VonMises: functools.partial(VonMises, validate_args=False),
}


_NAMES: Mapping[type[Distribution], tuple[str, ...]] = {
    Normal: ("loc", "scale"),
    UnitNormal: ("loc", "scale"),
    FiniteBernoulli: ("logits",),
    OneHotCategorical: ("logits",),
    Gamma: ("concentration", "rate"),
    Dirichlet: ("concentration",),
    VonMises: ("loc", "concentration"),
}


def parameters(q: Distribution) -> dict[str, Tensor]:
    """The tensors that carry the gradient of `q`, by name: loc and scale, for example, or logits.

    Each is the tensor that samples and log-probabilities are computed from, not a copy that they do not depend on; of
    alternatives (logits or probs) the one that q was made with. Those of a mixture's parts and of transforms are named
    after them ("component.loc", "transforms.0.scale"). Empty for a distribution that names none, such as a flow.
    """
    while isinstance(q, Independent):
        q = q.base_dist
    if type(q) in _NAMES:  # the same as below, in a tenth of the time
        return {name: getattr(q, name) for name in _NAMES[type(q)]}
    if type(q) in HELD_BY:
        return parameters(getattr(q, HELD_BY[type(q)]))
    paths = IN_THE_GRAPH.get(type(q))
    if paths is not None:
        return {name: _follow(q, path) for name, path in paths.items()}
    if isinstance(q, MixtureSameFamily):
        parts = {"mixture": q.mixture_distribution, "component": q.component_distribution}
        return {f"{part}.{name}": value for part, inner in parts.items() for name, value in parameters(inner).items()}
    if isinstance(q, TransformedDistribution) and not q.arg_constraints:
        of_transforms = {
            f"transforms.{index}.{name}": value
            for index, transform in enumerate(q.transforms)
            for name, value in tensors_of(transform)
        }
        return parameters(q.base_dist) | of_transforms
    return dict(_named(q))


def rebuilt(q: Distribution, values: Mapping[str, Tensor]) -> Distribution:
    """A distribution of the family of `q` with the parameters `values`, named as `parameters` names them.

    Raises:
        TypeError: if the family is none of the suite's.
    """
    kind = family(q)
    if kind not in _MAKERS:
        known = ", ".join(sorted(known.__name__ for known in _MAKERS))
        raise TypeError(f"family of q: expected one of {known}, got {kind.__name__}")
    base = _MAKERS[kind](**values)
    return independent_as(q, base) if isinstance(q, Independent) else base


def can_be_rebuilt(q: Distribution) -> bool:
    """Whether `q` is of a family of the suite."""
    return family(q) in _MAKERS


def with_parameters(q: Distribution, change: Callable[[Tensor], Tensor]) -> Distribution:
    """The distribution `q`, of a family of the suite, with `change` applied to each of its parameters."""
    return rebuilt(q, {name: change(value) for name, value in parameters(q).items()})


def _named(q: Distribution) -> Iterator[tuple[str, Tensor]]:
    # By arg_constraints. Vars come in the order in which they were made: of alternatives the first one is what q was
    # made with, the others were computed from it when they were asked for.
    try:
        names = q.arg_constraints
    except NotImplementedError:
        return
    first = {next((name for name in vars(q) if name in group), None) for group in ALTERNATIVES}
    for name in names:
        others = next((group for group in ALTERNATIVES if name in group), frozenset())
        if others & first and name not in first:
            continue
        value = getattr(q, name, None)
        if isinstance(value, Tensor):
            yield name, value


def _follow(q: Any, path: str) -> Tensor:
    for name in path.split("."):
        q = q[int(name)] if name.lstrip("-").isdigit() else getattr(q, name)
    tensor: Tensor = q
    return tensor
