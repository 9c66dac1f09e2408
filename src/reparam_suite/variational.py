"""Variational families: parameter tensors in, a `torch.distributions` object out.

Every distribution made here has batch_shape `[*B]` and event_shape `[D]`, or `[D, C]` for latents of C classes.
Shapes are checked here, once; the distributions themselves are made with `validate_args=False`.
"""

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, final

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import (
    Bernoulli,
    Beta,
    Categorical,
    Dirichlet,
    Distribution,
    Gamma,
    Independent,
    MultivariateNormal,
    Normal,
)
from torch.distributions import OneHotCategorical as TorchOneHotCategorical
from torch.distributions import VonMises as TorchVonMises
from torch.distributions.kl import kl_divergence as torch_kl_divergence


@final
class OneHotCategorical(TorchOneHotCategorical):
    """One-hot categorical whose log-density is defined, and differentiable, off the corners of the simplex.

    log q(z) = sum_c z_c log pi_c                                                     [*B] for z of [*B, C]

    PyTorch's own takes the argmax of z, which loses the gradient of a relaxed sample, and validates the parameters of
    the categorical inside it whatever it is told.
    """

    def __init__(self, *, logits: Tensor, validate_args: bool | None = None) -> None:
        self._categorical = Categorical(logits=logits, validate_args=validate_args)
        batch_shape, event_shape = logits.shape[:-1], logits.shape[-1:]
        Distribution.__init__(self, batch_shape, event_shape, validate_args=validate_args)

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-probability of `value`, linear in it."""
        return (value * self.logits).sum(-1)

    def expand(self, batch_shape: Any, _instance: Distribution | None = None) -> "OneHotCategorical":
        """The same distribution with a larger batch shape."""
        shape = torch.Size(batch_shape) + self.event_shape
        return OneHotCategorical(logits=self.logits.expand(shape), validate_args=False)


@final
class VonMises(TorchVonMises):
    """A direction in the plane, as an angle; its samples carry the gradient of loc and concentration.

    log q(z) = concentration cos(z - loc) - log(2 pi I_0(concentration))

    Angles lie in [-pi, pi), and functions of them are taken to have period 2 pi. PyTorch's own has no gradient through
    its samples, and an I_0 that is good to 7 digits.
    Figurnov, Mohamed & Mnih (2018), arXiv 1805.08498, eq. 5: dz/dconcentration = -(dF/dconcentration) / q(z).
    """

    has_rsample = True

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-density at `value`, `[*B]`."""
        from_mode: Tensor = -2.0 * self.concentration * (0.5 * (value - self.loc)).sin().square()
        log_scaled: Tensor = torch.special.i0e(self.concentration.double()).log()
        return from_mode - log_scaled.to(from_mode.dtype) - math.log(2.0 * math.pi)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Samples `[*sample_shape, *B]` whose derivative by loc is 1 and by concentration that of the quantile."""
        with torch.no_grad():
            z: Tensor = self.sample(torch.Size(sample_shape))
            slope = _von_mises_slope(z - self.loc, self.concentration)
        by_concentration = slope * (self.concentration - self.concentration.detach())
        moved: Tensor = z + (self.loc - self.loc.detach()) + by_concentration
        return moved


def _von_mises_slope(centred: Tensor, concentration: Tensor) -> Tensor:
    # -(dF/dk) / q at x = |centred| in [0, pi], odd in `centred`. With d log q(t) / dk = cos t - A, A = I_1(k) / I_0(k),
    #
    #     -(dF/dk) / q(x) = -int_0^x (cos t - A) exp(k (cos t - cos x)) dt = int_x^pi (the same) dt:
    #
    # their difference, the integral over all of [0, pi], is 0. Within about one standard deviation the first is
    # free of cancellation, beyond it the second, whose exponential falls from 1. Where it has fallen to exp(-40) the
    # integral is cut off. Gauss-Legendre quadrature of 24 nodes is right to 9 digits for any k; in float64, since
    # cos t - A is of the order of 1/k.
    dtype, k = centred.dtype, concentration.double()
    centred = torch.remainder(centred.double() + math.pi, 2.0 * math.pi) - math.pi
    x = centred.abs()
    one_minus_a = (torch.special.i0e(k) - torch.special.i1e(k)) / torch.special.i0e(k)
    inner = k * (1.0 - x.cos()) < 1.0
    start = torch.where(inner, 0.0, x)
    end = torch.where(inner, x, (x.cos() - 40.0 / k).clamp(min=-1.0).acos())
    shape = (-1, *(1,) * x.dim())
    nodes, weights = (each.to(x.device).reshape(shape) for each in _gauss_legendre(24))
    t = start + (end - start) * nodes
    exponent = -2.0 * k * (0.5 * (t + x)).sin() * (0.5 * (t - x)).sin()
    integrand = (one_minus_a - 2.0 * (0.5 * t).sin().square()) * exponent.exp()
    integral = (end - start) * (weights * integrand).sum(0)
    return (torch.where(inner, -integral, integral) * centred.sign()).to(dtype)


@functools.cache
def _gauss_legendre(num_nodes: int) -> tuple[Tensor, Tensor]:
    # On [0, 1], by the eigenvectors of the Jacobi matrix: Golub & Welsch (1969).
    n = torch.arange(1, num_nodes, dtype=torch.float64)
    beside = n / (4.0 * n.square() - 1.0).sqrt()
    nodes, vectors = torch.linalg.eigh(beside.diag(1) + beside.diag(-1))
    return 0.5 * (nodes + 1.0), vectors[0].square()


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
    return type(q.base_dist) if isinstance(q, Independent) else type(q)


def parameters(q: Distribution) -> dict[str, Tensor]:
    """The variational parameters of `q` by name, each `[*B, ...]`: loc and scale, say, or logits.

    Raises:
        TypeError: if the family is not one that the suite knows.
    """
    base = q.base_dist if isinstance(q, Independent) else q
    if type(base) not in _PARAMETERS:
        known = ", ".join(sorted(each.__name__ for each in _PARAMETERS))
        raise TypeError(f"unknown variational family {type(base).__name__}; known are {known}")
    return {name: getattr(base, name) for name in _PARAMETERS[type(base)]}


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


def frozen(q: Distribution) -> Distribution:
    """The distribution `q` with its parameters cut off from the graph."""
    return with_parameters(q, Tensor.detach)


def reparameterized(q: Distribution, eps: Tensor) -> Tensor:
    """Standard normal `eps` `[K, *B, D]` moved to a normal q: loc + scale eps, or loc + L eps, with q's gradient."""
    loc, scale = parameters(q).values()
    eps = eps.to(loc.dtype)
    return loc + (scale * eps if family(q) is Normal else (scale @ eps.unsqueeze(-1)).squeeze(-1))


def kl_divergence(q: Distribution, p: Distribution) -> Tensor:
    """KL(q || p) in nats, `[*B]`, in closed form and in logits; q may be full-covariance where p is factorised."""
    pair = (family(q), family(p))
    ours, theirs = parameters(q), parameters(p)
    if pair == (Bernoulli, Bernoulli):
        a, b = ours["logits"], theirs["logits"]
        return (a.sigmoid() * (a - b) + F.softplus(b) - F.softplus(a)).sum(-1)
    if pair == (OneHotCategorical, OneHotCategorical):
        a, b = ours["logits"].log_softmax(-1), theirs["logits"].log_softmax(-1)
        return (a.exp() * (a - b)).sum((-2, -1))
    if pair == (MultivariateNormal, Normal):
        precision = theirs["scale"].square().reciprocal()
        second_moment = ours["scale_tril"].square().sum(-1) + (ours["loc"] - theirs["loc"]).square()
        log_determinant = ours["scale_tril"].diagonal(dim1=-2, dim2=-1).log()
        terms = 0.5 * (second_moment * precision - 1.0) + theirs["scale"].log() - log_determinant
        return terms.sum(-1)
    return torch_kl_divergence(q, p)


def normal(loc: Tensor, scale: Tensor) -> Distribution:
    """D independent normals, from loc and scale of `[*B, D]`."""
    return Independent(Normal(loc, scale, validate_args=False), 1, validate_args=False)


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


class Posterior(ABC):
    """How an encoder's output becomes q(z|x), and what the latents look like."""

    family: ClassVar[type[Distribution]]

    @abstractmethod
    def num_parameters(self, latent_size: int) -> int:
        """How many numbers the encoder has to give for D = `latent_size` latents."""

    @abstractmethod
    def event_shape(self, latent_size: int) -> tuple[int, ...]:
        """The shape of one z: `(D,)` or `(D, C)`."""

    @abstractmethod
    def distribution(self, raw: Tensor, latent_size: int) -> Distribution:
        """q(z|x), batch_shape `[*B]`, from the encoder's output `[*B, num_parameters]`.

        Raises:
            ValueError: if the last axis of `raw` is of another length.
        """

    def _checked(self, raw: Tensor, latent_size: int) -> Tensor:
        expected = self.num_parameters(latent_size)
        if raw.shape[-1] != expected:
            raise ValueError(
                f"{type(self).__name__} with {latent_size} latents takes {expected} parameters a datum, "
                f"got {raw.shape[-1]}"
            )
        return raw


class GaussianPosterior(Posterior):
    """A posterior over D real latents."""

    def event_shape(self, latent_size: int) -> tuple[int, ...]:
        """`(D,)`."""
        return (latent_size,)


@final
class DiagonalNormal(GaussianPosterior):
    """N(loc, diag(scale^2)), scale = softplus(raw)."""

    family = Normal

    def num_parameters(self, latent_size: int) -> int:
        """D for loc and D for scale."""
        return 2 * latent_size

    def distribution(self, raw: Tensor, latent_size: int) -> Distribution:
        """D independent normals."""
        loc, scale = self._checked(raw, latent_size).chunk(2, dim=-1)
        return normal(loc, _positive(scale))


@final
class FullCovarianceNormal(GaussianPosterior):
    """N(loc, L L^T), L lower-triangular with diagonal softplus(raw)."""

    family = MultivariateNormal

    def num_parameters(self, latent_size: int) -> int:
        """D for loc, D for the diagonal of L and D (D - 1) / 2 below it."""
        return 2 * latent_size + latent_size * (latent_size - 1) // 2

    def distribution(self, raw: Tensor, latent_size: int) -> Distribution:
        """A normal with a covariance of its own for each datum."""
        loc, diagonal, below = self._checked(raw, latent_size).split(
            [latent_size, latent_size, latent_size * (latent_size - 1) // 2], dim=-1
        )
        row, column = torch.tril_indices(latent_size, latent_size, offset=-1, device=raw.device)
        scale_tril = torch.diag_embed(_positive(diagonal))
        scale_tril[..., row, column] = below
        return multivariate_normal(loc, scale_tril)


class DiscretePosterior(Posterior):
    """A posterior over D latents that take finitely many values."""


@final
class FactorizedBernoulli(DiscretePosterior):
    """D independent bits, given by their logits."""

    family = Bernoulli

    def num_parameters(self, latent_size: int) -> int:
        """D logits."""
        return latent_size

    def event_shape(self, latent_size: int) -> tuple[int, ...]:
        """`(D,)`."""
        return (latent_size,)

    def distribution(self, raw: Tensor, latent_size: int) -> Distribution:
        """D independent bits."""
        return bernoulli(self._checked(raw, latent_size))


@final
class FactorizedCategorical(DiscretePosterior):
    """D independent categoricals of C classes, one-hot, given by their logits.

    Args:
        num_classes: C, the number of values that each latent can take.

    Raises:
        ValueError: if `num_classes` is below 2.
    """

    family = OneHotCategorical

    def __init__(self, *, num_classes: int = 10) -> None:
        if num_classes < 2:
            raise ValueError(f"num_classes must be at least 2, got {num_classes}")
        self.num_classes = num_classes

    def num_parameters(self, latent_size: int) -> int:
        """D C logits."""
        return latent_size * self.num_classes

    def event_shape(self, latent_size: int) -> tuple[int, ...]:
        """`(D, C)`."""
        return (latent_size, self.num_classes)

    def distribution(self, raw: Tensor, latent_size: int) -> Distribution:
        """D independent one-hot categoricals."""
        return categorical(self._checked(raw, latent_size).unflatten(-1, (latent_size, self.num_classes)))


def _positive(raw: Tensor) -> Tensor:
    # softplus underflows to 0 for very negative input; a scale of 0 has no log-density.
    return F.softplus(raw).clamp_min(torch.finfo(raw.dtype).tiny ** 0.25)
