"""Pathwise estimators of normal latents whose noise is cancelled: in pairs, or by a quadratic of known mean."""

from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from reparam_suite.distributions import (
    has_inverse_cdf,
    inverse_cdf,
    is_reparameterized,
    parameters,
    reparameterized,
)
from reparam_suite.estimators import latents
from reparam_suite.estimators.base import Estimate, Expectation, GradientEstimator, carry, only_through, slopes, uniform
from reparam_suite.estimators.bounds import Average
from reparam_suite.runtime.checks import even


def _noise(q: Distribution, num_samples: int) -> Tensor:
    (loc, *_) = parameters(q).values()
    dtype = torch.promote_types(loc.dtype, torch.float32)
    return torch.randn((num_samples, *loc.shape), dtype=dtype, device=loc.device)


@final
class AntitheticPathwise(GradientEstimator):
    """The reparameterization trick at pairs of opposite noise.

    1/K sum_k grad_phi [f(T(eps_k, phi)) + f(T(-eps_k, phi))],  K/2 pairs                            [*B]

    Unbiased; f differentiable in z. A normal q, or one with quantiles, at uniforms u and 1 - u. A quadratic f leaves
    loc no noise, a linear f leaves none at all; log q inside f is differentiated through z alone. K evaluations of f,
    K even.
    Hammersley & Morton (1956); for this use Wu, Goodman & Ermon (2019), arXiv 1810.02555.

    Args:
        num_samples: K, samples per datum; a pair counts two.

    Raises:
        ValueError: if `num_samples` is odd or below 2.
    """

    bounds = (Average,)
    differentiates_f = True
    unbiased = True

    def __init__(self, *, num_samples: int = 2) -> None:
        super().__init__(num_samples=num_samples, fewest_samples=2)
        even(f"num_samples of {type(self).__name__}", self.num_samples)

    def fits(self, q: Distribution) -> str | None:
        """D normals, or any reparameterized q that knows its quantiles (a method `inverse_cdf`)."""
        if latents.normals(q) is None or (is_reparameterized(q) and has_inverse_cdf(q)):
            return None
        expected = "expected a normal q or a reparameterized one with a method inverse_cdf(u): its noise is mirrored"
        return f"{expected}, got {latents.described(q)}"

    def draw(self, q: Distribution) -> Tensor:
        """The noise of the first half of each pair, `[K/2, *B, *event]`: normal, or uniform for quantiles."""
        if latents.normals(q) is None:
            return _noise(q, self.num_samples // 2)
        return uniform((self.num_samples // 2, *q.batch_shape, *q.event_shape), _like(q))

    def estimate(self, target: Expectation) -> Estimate:
        """The bound at reparameterized pairs."""
        noise = self.draw(target.q)
        if latents.normals(target.q) is None:
            z = reparameterized(target.q, torch.cat([noise, -noise]))
        else:
            z = self._quantiles(target.q, torch.cat([noise, 1.0 - noise]))
        objective = target.bound.value(target.values(z))
        return Estimate(objective=objective, control_loss=objective.new_zeros(()))

    def _quantiles(self, q: Distribution, u: Tensor) -> Tensor:
        z = inverse_cdf(q, u)
        assert z is not None, "fits has asked"
        return z


def _like(q: Distribution) -> Tensor:
    # A tensor of the type and on the device of the samples of q.
    own = parameters(q).values()
    if own:
        return next(iter(own))
    with torch.no_grad():
        return q.sample()


@final
class ControlledPathwise(GradientEstimator):
    """The reparameterization trick less the noise that the quadratic expansion of f at the mean would make.

    With g and H the gradient and the Hessian of f at loc, u_k = scale eps_k and s_k random signs,

    loc:    1/K sum_k f'(z_k) - a H u_k                                                              [*B, D]
    scale:  1/K sum_k f'(z_k) eps_k - b ((g + H u_k) eps_k - (H scale s_k) s_k)                      [*B, D]

    Both brackets have mean zero: E[(H scale s) s] is the diagonal of H times scale, as E[(H u) eps] is. At a = b = 1 a
    quadratic f leaves loc no noise, and scale none but that of the off-diagonal H. The strengths a and b are learned
    from the squared gradient of the steps before. Unbiased; f twice differentiable in z. K + 1 evaluations of f, and
    2K Hessian-vector products at the mean.
    Miller et al. (2017), arXiv 1705.07880; learned weights as in Geffner & Domke (2018), arXiv 1810.12482.

    Args:
        num_samples: K, samples per datum.

    Raises:
        ValueError: if `num_samples` is below 1.
    """

    bounds = (Average,)
    differentiates_f = True
    unbiased = True

    def __init__(self, *, num_samples: int = 1) -> None:
        super().__init__(num_samples=num_samples)
        self.strength = nn.Parameter(torch.ones(2))

    def fits(self, q: Distribution) -> str | None:
        """D independent normals."""
        return latents.independent_normals(q)

    def evaluations(self, q: Distribution) -> int:  # noqa: ARG002
        """K samples and the mean."""
        return self.num_samples + 1

    def draw(self, q: Distribution) -> tuple[Tensor, Tensor]:
        """Normal noise and random signs, each `[K, *B, D]`."""
        eps = _noise(q, self.num_samples)
        return eps, 2.0 * torch.bernoulli(torch.full_like(eps, 0.5)) - 1.0

    @torch.compiler.disable(reason="f is differentiated twice, which what torch.compile makes cannot be")
    def estimate(self, target: Expectation) -> Estimate:
        """The bound, carrying the controlled gradient of loc and scale."""
        loc, scale = parameters(target.q).values()
        eps, signs = (noise.to(loc.dtype) for noise in self.draw(target.q))
        with torch.enable_grad():
            z = (loc + scale * eps).detach().requires_grad_()
            objective = target.bound.value(target.values(z))
            slope = slopes(objective, z, retain_graph=True)
        gradient, curved, probed = self._expansion(target, loc.detach(), scale.detach() * eps, scale.detach() * signs)
        strength = self.strength.to(loc.dtype)
        by_loc = slope.sum(0) - strength[0] * curved.mean(0)
        by_scale = (slope * eps).sum(0) - strength[1] * ((gradient + curved) * eps - probed * signs).mean(0)
        path = (by_loc.detach() * loc + by_scale.detach() * scale).sum(-1)
        noise = (by_loc.square() + by_scale.square()).sum(-1).mean()
        return Estimate(objective=objective + carry(path), control_loss=only_through(noise, self.parameters()))

    def _expansion(self, target: Expectation, loc: Tensor, *directions: Tensor) -> tuple[Tensor, ...]:
        # The gradient of f at loc, [*B, D], and its Hessian times each of the directions, [K, *B, D].
        with torch.enable_grad():
            point = loc.clone().requires_grad_()
            value = target.values(point.unsqueeze(0))
            gradient = slopes(value, point, create_graph=True)
            # Where f is linear or constant its gradient does not know the point: the 0 ties the two.
            tied = gradient + 0.0 * point
            (products,) = torch.autograd.grad(tied, point, torch.cat(directions), is_grads_batched=True)
        return gradient.detach(), *products.chunk(len(directions))
