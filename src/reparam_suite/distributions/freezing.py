"""The same law, cut off from the graph of its parameters."""

import copy
from typing import Any, final

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, TransformedDistribution

from reparam_suite.distributions.families import OneHotCategorical, independent_as
from reparam_suite.distributions.parameters import can_be_rebuilt, with_parameters
from reparam_suite.distributions.transforms import has_constant_transforms


@final
class FrozenDensity(Distribution):
    """A distribution whose log-density is differentiated with respect to z alone, and to first order.

    log q(z) + d log q(z)/dz . (z - stopped z), with log q(z) and its slope as constants

    The value is that of `q`, its gradient with respect to z too; none reaches the parameters of `q`, wherever they are.
    Of the second derivative with respect to z it has none: estimators that need it refuse this class.

    Args:
        q: the distribution, of any kind.
    """

    has_rsample = False

    def __init__(self, q: Distribution) -> None:
        self.q = q
        super().__init__(q.batch_shape, q.event_shape, validate_args=False)

    @property
    def arg_constraints(self) -> dict[str, Any]:
        """None: it has no parameters."""
        return {}

    @property
    def support(self) -> Any:
        """That of q."""
        return self.q.support

    @property
    def mean(self) -> Tensor:
        """That of q, a constant."""
        return self.q.mean.detach()

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-density at `value`, with its slope there."""
        if not value.is_floating_point():
            constant: Tensor = self.q.log_prob(value)
            return constant.detach()
        log_q, pull_back = torch.func.vjp(self.q.log_prob, value)[:2]
        (slope,) = pull_back(torch.ones_like(log_q))
        event = tuple(range(-len(self.event_shape), 0))
        step = slope.detach() * (value - value.detach())
        seen: Tensor = log_q.detach() + (step.sum(event) if event else step)
        return seen

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Samples of q."""
        z: Tensor = self.q.sample(torch.Size(sample_shape))
        return z


def frozen(q: Distribution) -> Distribution:
    """The distribution `q` with its parameters cut off from the graph.

    By the method `frozen()` of `q` if it has one; a family of the suite is rebuilt from constants; of any other q
    the log-density is differentiated with respect to z alone (FrozenDensity).
    """
    own = getattr(q, "frozen", None)
    if own is not None:
        made: Distribution = own()
        return made
    if isinstance(q, Independent):
        return _frozen_factors(q)
    if type(q) is OneHotCategorical:
        return q.detached()
    if can_be_rebuilt(q):
        return with_parameters(q, Tensor.detach)
    if _is_transformed_base(q):
        # The transforms are shared, and with them what they remember of the sample that they made.
        copied = copy.copy(q)
        copied.base_dist = frozen(q.base_dist)  # type: ignore[attr-defined]
        return copied
    return FrozenDensity(q)


def _frozen_factors(q: Independent[Any]) -> Independent[Any]:
    if isinstance(q.base_dist, Independent):
        return Independent(_frozen_factors(q.base_dist), q.reinterpreted_batch_ndims, validate_args=False)
    return independent_as(q, frozen(q.base_dist))


def _is_transformed_base(q: Distribution) -> bool:
    # Whether the log-density of q is that of its base, at the inverse of transforms that have no parameters.
    return (
        isinstance(q, TransformedDistribution)
        and type(q).log_prob is TransformedDistribution.log_prob
        and has_constant_transforms(q)
    )
