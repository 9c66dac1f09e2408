"""The families of the suite: tensors in, a `torch.distributions` object out.

Each constructor gives a distribution of batch_shape `[*B]` and event_shape `[D]`, or `[D, C]` for latents of C classes.
"""

import math
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
from torch.distributions.utils import lazy_property

from reparam_suite.distributions.numbers import finite, widened
from reparam_suite.distributions.von_mises import VonMises


@final
class OneHotCategorical(Distribution):
    """One-hot categorical whose log-density is defined, and differentiable, off the corners of the simplex.

    log q(z) = sum_c z_c log pi_c                                                     [*B] for z of [*B, C]

    PyTorch's own takes the argmax of z, which loses the gradient of a relaxed sample, validates the parameters of the
    categorical inside it whatever `validate_args` says, and is many times slower on few classes.

    Args:
        logits: `[*B, C]`; kept as log-probabilities, the log of their sum taken off. A class may be masked by a logit
            of minus infinity: its probability is 0, its log-probability a finite number far below any other
            (-1e15), and no gradient reaches its logit.
        validate_args: whether arguments are checked.
    """

    arg_constraints: ClassVar = {"logits": constraints.real_vector}
    support = constraints.one_hot
    has_enumerate_support = True

    def __init__(self, *, logits: Tensor, validate_args: bool | None = None) -> None:
        self.logits = finite(logits - logits.logsumexp(-1, keepdim=True))
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

    def entropy(self) -> Tensor:
        """The entropy in nats, `[*B]`; a class of probability 0 adds nothing."""
        return -(self.mean * self.logits).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """The C one-hot vectors, `[C, *B, C]`."""
        num_classes = self.event_shape[0]
        corners = torch.eye(num_classes, dtype=self.logits.dtype, device=self.logits.device)
        corners = corners.reshape(num_classes, *(1,) * len(self.batch_shape), num_classes)
        return corners.expand(num_classes, *self.batch_shape, num_classes) if expand else corners

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
class FiniteBernoulli(Bernoulli):
    """PyTorch's Bernoulli with logits that are finite: made by `bernoulli`, which limits them.

    At a logit of plus or minus infinity PyTorch's log-probability is not a number.
    """


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


def normal(loc: Tensor, scale: Tensor) -> Distribution:
    """D independent normals, from loc and scale of `[*B, D]`, both of that shape."""
    return _independent(normals(loc, scale))


# What the constructors of factors of one shape and of `Independent` come to; they themselves, which are called several
# times at every step, take as long as the arithmetic.


def normals(loc: Tensor, scale: Tensor) -> Normal:
    """Normals from loc and scale of one shape, as they are."""
    made = object.__new__(Normal)
    made.loc, made.scale = loc, scale
    Distribution.__init__(made, loc.shape, validate_args=False)
    return made


def bits(logits: Tensor) -> FiniteBernoulli:
    """Bits from finite logits, as they are."""
    made = object.__new__(FiniteBernoulli)
    made.logits = made._param = logits
    Distribution.__init__(made, logits.shape, validate_args=False)
    return made


def independent_as(q: Independent[Any], base: Distribution) -> Independent[Any]:
    """`base`, of any batch shape, made independent over as many axes as the factors of `q` are."""
    if isinstance(q.base_dist, Independent):
        base = independent_as(q.base_dist, base)
    made = object.__new__(Independent)
    made.base_dist, made.reinterpreted_batch_ndims = base, q.reinterpreted_batch_ndims
    shape, axes = base.batch_shape, len(base.batch_shape) - q.reinterpreted_batch_ndims
    Distribution.__init__(made, shape[:axes], shape[axes:] + base.event_shape, validate_args=False)
    return made


def _independent(factors: Distribution) -> Distribution:
    shape = factors.batch_shape
    made = object.__new__(Independent)
    made.base_dist, made.reinterpreted_batch_ndims = factors, 1
    Distribution.__init__(made, shape[:-1], shape[-1:], validate_args=False)
    return made


def standard_normal(like: Tensor) -> Distribution:
    """D independent normals of mean 0 and scale 1, shaped and placed as `like`, `[*B, D]`."""
    return _independent(UnitNormal(like))


def multivariate_normal(loc: Tensor, scale_tril: Tensor) -> Distribution:
    """A normal with covariance L L^T, from loc `[*B, D]` and its Cholesky factor L `[*B, D, D]`.

    What L holds above its diagonal is no parameter: it is taken as 0, and no gradient reaches it.
    """
    return MultivariateNormal(loc, scale_tril=scale_tril.tril(), validate_args=False)


def bernoulli(logits: Tensor) -> Distribution:
    """D independent bits, from logits `[*B, D]`; one of plus or minus infinity makes a bit certain."""
    return _independent(bits(finite(logits)))


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
