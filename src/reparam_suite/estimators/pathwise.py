"""Estimators that differentiate through the sample, z = T(eps, phi)."""

from typing import final

import torch
from torch import Tensor
from torch.distributions import Distribution

from reparam_suite.distributions import can_be_rebuilt, frozen
from reparam_suite.estimators.base import Estimate, Expectation, GradientEstimator
from reparam_suite.estimators.bounds import Average, LogMeanExp
from reparam_suite.estimators.latents import reparameterized


class _Reparameterized(GradientEstimator):
    """K samples that carry the gradient of q's parameters."""

    bounds = (Average, LogMeanExp)
    differentiates_f = True
    unbiased = True

    def __init__(self, *, num_samples: int = 1) -> None:
        super().__init__(num_samples=num_samples)

    def fits(self, q: Distribution) -> str | None:
        """Any q whose samples carry the gradient of its parameters."""
        return reparameterized(q)

    def draw(self, q: Distribution) -> Tensor:
        """K samples that carry the gradient of q's parameters, `[K, *B, *event]`.

        The very tensor that q made: transforms with a cache know no other.
        """
        if self.num_samples == 1 and can_be_rebuilt(q):
            # The families of the suite have no transforms. The same noise, and on its way back no sum over samples.
            return q.rsample().unsqueeze(0)
        z: Tensor = q.rsample(torch.Size((self.num_samples,)))
        return z


@final
class Pathwise(_Reparameterized):
    """The reparameterization trick: z = T(eps, phi), for example loc + scale eps, and ordinary backpropagation.

    grad_phi bound(f(T(eps_k, phi), q))                                              [*B]

    Unbiased; f differentiable in z, of period 2 pi for VonMises. K evaluations of f. Where T has no closed form its
    derivative is implicit, -(dF/dphi) / q(z): PyTorch's own, good to 5e-4, for Gamma, Beta and Dirichlet.
    Kingma & Welling (2014), arXiv 1312.6114, eq. 4; Rezende et al. (2014), arXiv 1401.4082; implicit derivatives:
    Figurnov et al. (2018), arXiv 1805.08498, eq. 5.

    Args:
        num_samples: K, samples per datum.

    Raises:
        ValueError: if `num_samples` is below 1.
    """

    def estimate(self, target: Expectation) -> Estimate:
        """The bound at reparameterized samples; log q inside f is differentiated like the rest."""
        z = self.draw(target.q)
        objective = target.bound.value(target.f(z, target.q))
        return Estimate(objective=objective, control_loss=objective.new_zeros(()))


@final
class StickTheLanding(_Reparameterized):
    """The path derivative: log q inside f is differentiated through z alone. On LogMeanExp this is DReG.

    sum_k w_k d f(z_k, frozen q) / d z_k  d z_k / d phi,  w_k the path weight of the bound       [*B]

    Unbiased for phi and theta; f differentiable in z; its noise vanishes where q is the exact posterior. Samples as
    those of Pathwise.
    K evaluations of f.
    Roeder, Wu & Duvenaud (2017), arXiv 1703.09194, eq. 7; Tucker et al. (2019), arXiv 1810.04152, eq. 8.

    Args:
        num_samples: K, samples per datum.

    Raises:
        ValueError: if `num_samples` is below 1.
    """

    admits_exact = False

    def estimate(self, target: Expectation) -> Estimate:
        """The bound at reparameterized samples and frozen q.

        theta's gradient weighs f_k by the derivative of the bound, phi's by the path weight. Where the two differ, the
        gradient that reaches z_k is rescaled on its way back, so that one backward pass serves both.
        """
        z = self.draw(target.q)
        if target.bound.score_vanishes:
            objective = target.bound.value(target.f(z, frozen(target.q)))
            return Estimate(objective=objective, control_loss=objective.new_zeros(()))
        rescale: list[Tensor] = []
        if z.requires_grad:
            z = z.view_as(z)  # all of the path goes through this tensor, no part through what a transform remembers
            z.register_hook(lambda gradient: gradient * rescale[0])
        f = target.f(z, frozen(target.q))
        objective = target.bound.value(f)
        if not z.requires_grad:
            return Estimate(objective=objective, control_loss=objective.new_zeros(()))
        (value_weight,) = torch.autograd.grad(objective.sum(), f, retain_graph=True)
        # Where a weight underflows to 0 its path weight has done so too: the ratio is then 0.
        ratio = target.bound.path_weight(f.detach()) / value_weight.clamp_min(torch.finfo(f.dtype).tiny)
        rescale.append(ratio.reshape(*ratio.shape, *(1,) * (z.dim() - ratio.dim())))
        return Estimate(objective=objective, control_loss=objective.new_zeros(()))
