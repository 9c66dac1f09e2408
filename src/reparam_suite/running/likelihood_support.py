"""Whether data are in the support of a model's p(x|z)."""

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, constraints

from reparam_suite.data import DataModule
from reparam_suite.models.bits_per_dim import support_of_data
from reparam_suite.running.offers import offers
from reparam_suite.runtime.errors import UsageError


@torch.no_grad()
def check_support(model: Any, data: DataModule, x: Any) -> None:
    """Refuses x to which p(x|z) gives no probability, as training would do without a word or fail at its first step.

    x may be grey where p(x|z) is over bits: the log-probability is then a cross-entropy. Missing values are left to the
    model, and so is all of a model without `encode` and `decode` that return distributions.

    Args:
        model: on the device of x.
        data: from which x is.
        x: data, `[B, *datum]`.

    Raises:
        UsageError: naming the likelihood and the data, with the range of both.
    """
    if not (isinstance(x, Tensor) and x.is_floating_point() and offers(model, "encode", "decode")):
        return
    p = _likelihood_of(model, x)
    if p is None:
        return
    if not _all_within(p, x):
        raise UsageError(_refusal(model, data, x, p, _expected(p)))
    alike = x.shape == p.batch_shape + p.event_shape
    if alike and x.isfinite().all() and not _is_finite(p, x) and _is_finite(p, p.sample()):
        raise UsageError(_refusal(model, data, x, p, "values of finite log-probability"))


def _likelihood_of(model: Any, x: Tensor) -> Distribution | None:
    # p(x|z) at a sample of q(z|x); the errors of a model are left to its expectation.
    try:
        p = model.decode(model.encode(x).sample())
    except (ValueError, TypeError, RuntimeError, IndexError, KeyError, AttributeError):
        return None
    return p if isinstance(p, Distribution) else None


def _accepted(p: Distribution) -> constraints.Constraint | None:
    support = getattr(p, "accepted", None) or support_of_data(p)
    return constraints.unit_interval if isinstance(support, type(constraints.boolean)) else support


def _all_within(p: Distribution, x: Tensor) -> bool:
    support = _accepted(p)
    if support is None or (support.event_dim and x.shape != p.batch_shape + p.event_shape):
        return True
    present = x if support.event_dim else x[x.isfinite()]
    if not present.isfinite().all():
        return True
    try:
        return bool(support.check(present).all())
    except (RuntimeError, NotImplementedError):  # limits of the support that hang on z, in another shape than x has
        return True


def _is_finite(p: Distribution, x: Tensor) -> bool:
    try:
        return bool(p.log_prob(x).isfinite().all())
    except ValueError:  # torch's own check of values
        return False


def _expected(p: Distribution) -> str:
    support = _accepted(p)
    lower, upper = (getattr(support, f"{end}_bound", None) for end in ("lower", "upper"))
    noun = "whole numbers" if support is not None and support.is_discrete else "values"
    if isinstance(lower, int | float) and isinstance(upper, int | float):
        return f"{noun} in [{lower:g}, {upper:g}]"
    if isinstance(lower, int | float):
        return f"{noun} above {lower:g}" if lower not in _limits(support) else f"{noun} of at least {lower:g}"
    return f"{noun} of {type(support).__name__.strip('_')}"


def _limits(support: Any) -> list[float]:
    # The lower limit where it is a value of the support itself.
    lower = support.lower_bound
    return [lower] if support.check(torch.tensor(float(lower))) else []


def _refusal(model: Any, data: DataModule, x: Tensor, p: Distribution, expected: str) -> str:
    family = getattr(getattr(model, "likelihood", None), "family", None)
    while isinstance(p, Independent):
        p = p.base_dist
    name = type(p if family is None else family).__name__
    present = x[x.isfinite()]
    found = f"{present.min():.4g} to {present.max():.4g}"
    return f"data: expected {expected} for {name}, got {found} from {data.name} ({data.kind})"
