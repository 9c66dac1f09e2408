"""The families: their parameters by name, copies with other parameters, divergences, constructors."""

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, final

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import (
    Bernoulli,
    Beta,
    Dirichlet,
    Distribution,
    Gamma,
    Independent,
    MultivariateNormal,
    Normal,
    constraints,
)
from torch.distributions.kl import kl_divergence as torch_kl_divergence
from torch.distributions.utils import lazy_property

from reparam_suite.distributions.von_mises import VonMises


@final
class OneHotCategorical(Distribution):
    """One-hot categorical whose log-density is defined, and differentiable, off the corners of the simplex.

    log q(z) = sum_c z_c log pi_c                                                     [*B] for z of [*B, C]

    PyTorch's own takes the argmax of z, which loses the gradient of a relaxed sample, validates the parameters of the
    categorical inside it whatever it is told, and samples and takes the softmax many times slower on few classes.

    Args:
        logits: `[*B, C]`; kept as log-probabilities, the log of their sum taken off.
        validate_args: whether arguments are checked.
    """

    arg_constraints: ClassVar = {"logits": constraints.real_vector}
    support = constraints.one_hot

    def __init__(self, *, logits: Tensor, validate_args: bool | None = None) -> None:
        self.logits = logits - logits.logsumexp(-1, keepdim=True)
        super().__init__(logits.shape[:-1], logits.shape[-1:], validate_args=validate_args)

    @lazy_property
    def mean(self) -> Tensor:
        """The probabilities."""
        return self.logits.exp()

    @property
    def variance(self) -> Tensor:
        """Of each class by itself, p (1 - p)."""
        return self.mean * (1.0 - self.mean)

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-probability of `value`, linear in it."""
        return (value * self.logits).sum(-1)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """One-hot samples `[*sample_shape, *B, C]`: the first class whose cumulative probability exceeds a uniform."""
        with torch.no_grad():
            up_to = widened(self.mean).cumsum(-1)
            up_to[..., -1] = 1.0  # whatever rounding made of the sum
            u = torch.rand((*sample_shape, *up_to.shape[:-1], 1), dtype=up_to.dtype, device=up_to.device)
            below = u < up_to
            return (below ^ F.pad(below[..., :-1], (1, 0))).to(self.logits.dtype)

    def expand(self, batch_shape: Any, _instance: Distribution | None = None) -> "OneHotCategorical":
        """The same distribution with a larger batch shape."""
        shape = torch.Size(batch_shape) + self.event_shape
        return OneHotCategorical(logits=self.logits.expand(shape), validate_args=False)

    def detached(self) -> "OneHotCategorical":
        """The same distribution, its parameters cut off from the graph and not normalised again."""
        copy = object.__new__(OneHotCategorical)
        copy.logits = self.logits.detach()
        Distribution.__init__(copy, self.batch_shape, self.event_shape, validate_args=False)
        return copy


@final
class UnitNormal(Normal):
    """N(0, 1), known to be it: its density, and the divergence from it, take fewer operations than a normal's.

    Args:
        like: of the shape, type and device of its mean.
    """

    def __init__(self, like: Tensor) -> None:
        self._like = like
        Distribution.__init__(self, like.shape, validate_args=False)

    @lazy_property
    def loc(self) -> Tensor:
        """Zeros."""
        return torch.zeros_like(self._like)

    @lazy_property
    def scale(self) -> Tensor:
        """Ones."""
        return torch.ones_like(self._like)

    def log_prob(self, value: Tensor) -> Tensor:
        """-1/2 (z^2 + log 2 pi)."""
        return (value.square() + math.log(2.0 * math.pi)) * -0.5

    def expand(self, batch_shape: Any, _instance: Distribution | None = None) -> "UnitNormal":
        """The same distribution with a larger batch shape."""
        return UnitNormal(self._like.expand(batch_shape))


# What each family is made from: the parameters that carry its gradient.
_PARAMETERS: Mapping[type[Distribution], tuple[str, ...]] = {
    Normal: ("loc", "scale"),
    MultivariateNormal: ("loc", "scale_tril"),
    Bernoulli: ("logits",),
    OneHotCategorical: ("logits",),
    Gamma: ("concentration", "rate"),
    Beta: ("concentration1", "concentration0"),
    Dirichlet: ("concentration",),
    VonMises: ("loc", "concentration"),
}


def family(q: Distribution) -> type[Distribution]:
    """The family of `q`: the class of its factors, `Independent` taken off."""
    made = type(factors(q))
    return Normal if made is UnitNormal else made


def factors(q: Distribution) -> Distribution:
    """The independent factors of `q`: `Independent` taken off."""
    return q.base_dist if isinstance(q, Independent) else q


def parameters(q: Distribution) -> dict[str, Tensor]:
    """The variational parameters of `q` by name, each `[*B, ...]`: loc and scale, say, or logits.

    Raises:
        TypeError: if the family is not one that the suite knows.
    """
    base, kind = factors(q), family(q)
    if kind not in _PARAMETERS:
        known = ", ".join(sorted(each.__name__ for each in _PARAMETERS))
        raise TypeError(f"unknown variational family {kind.__name__}; known are {known}")
    return {name: getattr(base, name) for name in _PARAMETERS[kind]}


def rebuilt(q: Distribution, values: Mapping[str, Tensor]) -> Distribution:
    """A distribution of the family of `q` with the parameters `values`, named as `parameters` names them."""
    make: Callable[..., Distribution] = family(q)
    base = make(**values, validate_args=False)
    if isinstance(q, Independent):
        return Independent(base, q.reinterpreted_batch_ndims, validate_args=False)
    return base


def with_parameters(q: Distribution, change: Callable[[Tensor], Tensor]) -> Distribution:
    """The distribution `q` with `change` applied to each of its parameters."""
    return rebuilt(q, {name: change(value) for name, value in parameters(q).items()})


def widened(tensor: Tensor) -> Tensor:
    """The same numbers in float32, or in what they are if that is wider."""
    if tensor.dtype == torch.float32:
        return tensor
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def frozen(q: Distribution) -> Distribution:
    """The distribution `q` with its parameters cut off from the graph."""
    if isinstance(q, Independent) and isinstance(q.base_dist, OneHotCategorical):
        return Independent(q.base_dist.detached(), q.reinterpreted_batch_ndims, validate_args=False)
    return with_parameters(q, Tensor.detach)


def softmax(logits: Tensor) -> Tensor:
    """The softmax over the last axis: PyTorch's own, which is many times slower there than elsewhere on few classes."""
    return logits.mT.contiguous().softmax(-2).mT if logits.dim() > 1 else logits.softmax(-1)


def samples(q: Distribution, num_samples: int) -> Tensor:
    """K samples of q without a gradient, `[K, *B, D]` or `[K, *B, D, C]`."""
    if family(q) is not Bernoulli:
        return q.sample((num_samples,))
    # A quarter of the time of torch.bernoulli, in the same law.
    with torch.no_grad():
        p = widened(q.mean)
        u = torch.rand((num_samples, *p.shape), dtype=p.dtype, device=p.device)
        return (u < p).to(q.mean.dtype)


def reparameterized(q: Distribution, eps: Tensor) -> Tensor:
    """Standard normal `eps` `[K, *B, D]` moved to a normal q: loc + scale eps, or loc + L eps, with q's gradient."""
    loc, scale = parameters(q).values()
    eps = eps.to(loc.dtype)
    return loc + (scale * eps if family(q) is Normal else (scale @ eps.unsqueeze(-1)).squeeze(-1))


def kl_divergence(q: Distribution, p: Distribution) -> Tensor | None:
    """KL(q || p) in nats, `[*B]`, in closed form and in logits; q may be full-covariance where p is factorised."""
    pair = (family(q), family(p))
    if not set(pair) <= set(_PARAMETERS):
        try:
            return torch_kl_divergence(q, p)
        except NotImplementedError:
            return None
    ours = parameters(q)
    if pair[0] is Normal and type(factors(p)) is UnitNormal:
        loc, scale = ours["loc"], ours["scale"]
        terms = torch.addcmul(loc.square(), scale, scale).sub(scale.log(), alpha=2.0)
        return 0.5 * (terms.sum(-1) - terms.shape[-1])
    theirs = parameters(p)
    if pair == (Bernoulli, Bernoulli):
        a, b = ours["logits"], theirs["logits"]
        return (a.sigmoid() * (a - b) + F.softplus(b) - F.softplus(a)).sum(-1)
    if pair == (OneHotCategorical, OneHotCategorical):
        a, b = ours["logits"], theirs["logits"]
        return (a.exp() * (a - b)).sum((-2, -1))
    if pair == (Normal, Normal):
        ratio, shift = ours["scale"] / theirs["scale"], (ours["loc"] - theirs["loc"]) / theirs["scale"]
        terms = torch.addcmul(ratio.square(), shift, shift).sub(ratio.log(), alpha=2.0)
        return 0.5 * (terms.sum(-1) - terms.shape[-1])
    if pair == (MultivariateNormal, Normal):
        precision = theirs["scale"].square().reciprocal()
        second_moment = ours["scale_tril"].square().sum(-1) + (ours["loc"] - theirs["loc"]).square()
        log_determinant = ours["scale_tril"].diagonal(dim1=-2, dim2=-1).log()
        terms = 0.5 * (second_moment * precision - 1.0) + theirs["scale"].log() - log_determinant
        return terms.sum(-1)
    return torch_kl_divergence(q, p)


def normal(loc: Tensor, scale: Tensor) -> Distribution:
    """D independent normals, from loc and scale of `[*B, D]`, both of that shape."""
    made = object.__new__(Normal)
    made.loc, made.scale = loc, scale
    return _independent(made, loc.shape)


def _independent(factors: Distribution, shape: torch.Size) -> Distribution:
    # What the constructors of factors of one shape and of `Independent` come to; they themselves, which are called at
    # every step, take as long as the arithmetic.
    Distribution.__init__(factors, shape, validate_args=False)
    made = object.__new__(Independent)
    made.base_dist, made.reinterpreted_batch_ndims = factors, 1
    Distribution.__init__(made, shape[:-1], shape[-1:], validate_args=False)
    return made


def standard_normal(like: Tensor) -> Distribution:
    """D independent normals of mean 0 and scale 1, shaped and placed as `like`, `[*B, D]`."""
    return _independent(UnitNormal(like), like.shape)


def multivariate_normal(loc: Tensor, scale_tril: Tensor) -> Distribution:
    """A normal with covariance L L^T, from loc `[*B, D]` and its Cholesky factor L `[*B, D, D]`."""
    return MultivariateNormal(loc, scale_tril=scale_tril, validate_args=False)


def bernoulli(logits: Tensor) -> Distribution:
    """D independent bits, from logits `[*B, D]`."""
    return Independent(Bernoulli(logits=logits, validate_args=False), 1, validate_args=False)


def categorical(logits: Tensor) -> Distribution:
    """D independent one-hot categoricals of C classes, from logits `[*B, D, C]`."""
    return Independent(OneHotCategorical(logits=logits, validate_args=False), 1, validate_args=False)


def gamma(concentration: Tensor, rate: Tensor) -> Distribution:
    """D independent gamma variables, from concentration and rate of `[*B, D]`."""
    return Independent(Gamma(concentration, rate, validate_args=False), 1, validate_args=False)


def beta(concentration1: Tensor, concentration0: Tensor) -> Distribution:
    """D independent beta variables, from the concentrations at 1 and at 0, `[*B, D]` each."""
    return Independent(Beta(concentration1, concentration0, validate_args=False), 1, validate_args=False)


def dirichlet(concentration: Tensor) -> Distribution:
    """D independent points of the simplex of C classes, from concentrations `[*B, D, C]`."""
    return Independent(Dirichlet(concentration, validate_args=False), 1, validate_args=False)


def von_mises(loc: Tensor, concentration: Tensor) -> Distribution:
    """D independent angles, from loc and concentration of `[*B, D]`."""
    return Independent(VonMises(loc, concentration, validate_args=False), 1, validate_args=False)
