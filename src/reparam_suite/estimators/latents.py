"""Reasons for which the mathematics of an estimator does not allow a q; None where it does.

Estimators of one family say so with these in `fits`. Their latents are D factors in one axis.
"""

from torch import Tensor
from torch.distributions import Bernoulli, Distribution, MultivariateNormal, Normal

from reparam_suite.distributions import OneHotCategorical, factors, family, is_reparameterized


def bits(q: Distribution) -> str | None:
    """None for D independent bits."""
    if family(q) is Bernoulli and len(q.event_shape) == 1:
        return None
    return f"expected a q of independent bits, event_shape [D], got {described(q)}"


def one_hot(q: Distribution) -> str | None:
    """None for D independent one-hot latents."""
    if family(q) is OneHotCategorical and len(q.event_shape) == 2:
        return None
    return f"expected a q of independent one-hot latents, event_shape [D, C], got {described(q)}"


def bits_or_one_hot(q: Distribution) -> str | None:
    """None for D independent bits or one-hot latents."""
    if bits(q) is None or one_hot(q) is None:
        return None
    expected = "expected a q of independent bits, event_shape [D], or of one-hot latents, event_shape [D, C]"
    return f"{expected}, got {described(q)}"


def independent_normals(q: Distribution) -> str | None:
    """None for D independent normals."""
    if family(q) is Normal and len(q.event_shape) == 1:
        return None
    return f"expected a q of independent normals, event_shape [D], got {described(q)}"


def normals(q: Distribution) -> str | None:
    """None for D normals, independent or not."""
    if family(q) in (Normal, MultivariateNormal) and len(q.event_shape) == 1:
        return None
    return f"expected a normal q, event_shape [D], got {described(q)}"


def reparameterized(q: Distribution) -> str | None:
    """None where samples carry the gradient of q's parameters."""
    if is_reparameterized(q):
        return None
    return f"expected a q with reparameterized samples (rsample), got {described(q)}"


def described(q: Distribution) -> str:
    """The family of q and the shape of its event."""
    return f"{family(q).__name__} of event_shape {list(q.event_shape)}"


def logits_of(q: Distribution) -> Tensor:
    """The logits of bits `[*B, D]` or the log-probabilities of one-hot latents `[*B, D, C]`, in the graph."""
    logits: Tensor = factors(q).logits  # type: ignore[attr-defined]
    return logits
