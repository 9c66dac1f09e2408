"""The interface of problems: an expectation, and its exact value computed another way."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution

from reparam_suite.estimators import Average, Bound, Expectation
from reparam_suite.estimators.base import Integrand
from reparam_suite.runtime import checks


class Problem(ABC):
    """E_q[bound(f)] with q made from phi and f from theta.

    Args:
        bound: what becomes of the K values.
        num_samples: the K of that bound; on Average the exact value does not depend on it.
    """

    num_latents: ClassVar[int]

    def __init__(self, *, bound: Bound | None = None, num_samples: int = 1) -> None:
        self.bound: Bound = Average() if bound is None else bound
        self.num_samples = checks.integer("num_samples", num_samples, least=1)

    def __str__(self) -> str:
        suffix = "" if isinstance(self.bound, Average) else f"-{type(self.bound).__name__}{self.num_samples}"
        return f"{type(self).__name__}{suffix}"

    @property
    @abstractmethod
    def phi(self) -> Tensor:
        """The point of the gradient: the parameters of q, `[P]`, float64."""

    @property
    @abstractmethod
    def theta(self) -> Tensor:
        """The parameters of f, `[T]`, float64."""

    @abstractmethod
    def q(self, phi: Tensor) -> Distribution:
        """The distribution with parameters phi `[*B, P]`, batch_shape `[*B]`."""

    @abstractmethod
    def integrand(self, theta: Tensor) -> Integrand:
        """The f with parameters theta `[*B, T]`."""

    @abstractmethod
    def exact_value(self, phi: Tensor, theta: Tensor) -> Tensor:
        """The value `[]` at phi `[P]` and theta `[T]`, differentiable, computed in a way that no estimator uses."""

    def expectation(self, phi: Tensor, theta: Tensor) -> Expectation:
        """The Expectation that an estimator is given, from phi `[*B, P]` and theta `[*B, T]`."""
        return Expectation(q=self.q(phi), f=self.integrand(theta), bound=self.bound, context=phi.detach())

    def exact_gradient(self) -> Tensor:
        """The exact gradient with respect to phi, then theta, `[P + T]`."""
        phi, theta = self.phi.requires_grad_(), self.theta.requires_grad_()
        return torch.cat(torch.autograd.grad(self.exact_value(phi, theta), (phi, theta)))
