"""Estimators without noise: every state of a discrete latent, or the nodes of a quadrature of a normal one."""

from typing import ClassVar, final

import torch
from torch import Tensor
from torch.distributions import Distribution

from reparam_suite.distributions import num_states, reparameterized, support_of
from reparam_suite.estimators import latents
from reparam_suite.estimators.base import Estimate, Expectation, GradientEstimator
from reparam_suite.estimators.bounds import Average, LogMeanExp
from reparam_suite.runtime.checks import integer


@final
class Enumeration(GradientEstimator):
    """The exact expectation: the sum over every state of q, and over every K-tuple of states on LogMeanExp.

    sum_z q(z) f(z)                                                                  [*B]

    No bias, no variance; any q that enumerates its support; f may be a black box. 2^D or C^D evaluations of f.

    Args:
        num_samples: K of a multi-sample bound; on Average the expectation does not depend on it.
        max_states: the largest number of states, or of K-tuples of them, that is accepted.

    Raises:
        ValueError: if q has more states than `max_states`.
    """

    bounds = (Average, LogMeanExp)
    differentiates_f = False
    unbiased = True
    noiseless = True

    def __init__(self, *, num_samples: int = 1, max_states: int = 16_384) -> None:
        super().__init__(num_samples=num_samples)
        self.max_states = integer(f"max_states of {type(self).__name__}", max_states, least=1)

    def fits(self, q: Distribution) -> str | None:
        """Any q whose values can be enumerated, at most `max_states` of them."""
        return self._refusal(q, 1)

    def evaluations(self, q: Distribution) -> int:
        """The number of states, 2^D or C^D for D latents of C values."""
        return num_states(q) or 0

    def check(self, target: Expectation) -> None:
        """Refuses more tuples of states than `max_states` as well."""
        super().check(target)
        reason = self._refusal(target.q, self._tuple_size(target))
        if reason is not None:
            raise ValueError(f"{type(self).__name__}: {reason}")

    def _refusal(self, q: Distribution, tuple_size: int) -> str | None:
        states = num_states(q)
        if states is None:
            return f"expected a q whose values can be enumerated (enumerate_support), got {latents.described(q)}"
        if states**tuple_size <= self.max_states:
            return None
        wanted = f"{states:,}" if tuple_size == 1 else f"{states:,}^{tuple_size}"
        if states >= 10**12:
            wanted = f"about 10^{len(str(states**tuple_size)) - 1}"
        shape = "x".join(map(str, q.event_shape))
        return f"expected at most max_states = {self.max_states:,} states, got {wanted} (latents of shape {shape})"

    def estimate(self, target: Expectation) -> Estimate:
        """The weighted sum, differentiated as it stands."""
        z = support_of(target.q)
        assert z is not None, "fits has asked"
        log_q = target.q.log_prob(z)
        f = target.values(z)
        tuples = torch.cartesian_prod(*[torch.arange(len(z), device=f.device)] * self._tuple_size(target))
        tuples = tuples.reshape(len(tuples), -1).T  # [tuple size, number of tuples]
        objective = (log_q[tuples].sum(0).exp() * target.bound.value(f[tuples])).sum(0)
        return Estimate(objective=objective, control_loss=objective.new_zeros(()))

    def _tuple_size(self, target: Expectation) -> int:
        return 1 if isinstance(target.bound, Average) else self.num_samples


@final
class Quadrature(GradientEstimator):
    """The expectation by Gauss-Hermite quadrature over the product of each latent's nodes.

    sum_i w_i f(T(x_i, phi))                                                         [*B]

    No noise, and no error where f is a polynomial of degree below 2 `num_nodes` in each latent; elsewhere an error that
    falls geometrically with `num_nodes` if f is smooth. f differentiable in z. num_nodes^D evaluations of f; LogMeanExp
    is not supported, since its nodes would span all K D coordinates.
    Golub & Welsch (1969).

    Args:
        num_nodes: nodes for each latent.

    Raises:
        ValueError: if `num_nodes` is below 1, or if q has more than 3 latents.
    """

    bounds = (Average,)
    differentiates_f = True
    unbiased = True
    noiseless = True
    max_latents: ClassVar[int] = 3

    def __init__(self, *, num_nodes: int = 20) -> None:
        super().__init__()
        self.num_nodes = integer(f"num_nodes of {type(self).__name__}", num_nodes, least=1)
        self._rule = _gauss_hermite(self.num_nodes)

    def evaluations(self, q: Distribution) -> int:
        """The number of nodes, num_nodes^D."""
        return int(self.num_nodes ** q.event_shape[0])

    def fits(self, q: Distribution) -> str | None:
        """At most 3 normals, independent or not."""
        reason = latents.normals(q)
        if reason is None and q.event_shape[0] > self.max_latents:
            return f"expected at most {self.max_latents} latents, got {q.event_shape[0]}"
        return reason

    def estimate(self, target: Expectation) -> Estimate:
        """The weighted sum over nodes that move with q."""
        num_latents, batch = target.q.event_shape[0], (1,) * len(target.q.batch_shape)
        grid, weights = (
            torch.cartesian_prod(*[of_rule] * num_latents).reshape(-1, num_latents) for of_rule in self._rule
        )
        eps = grid.to(target.q.mean.device).reshape(-1, *batch, num_latents)
        f = target.values(reparameterized(target.q, eps))
        mass = weights.prod(-1).to(f).reshape(-1, *batch)
        objective = (mass * f).sum(0)
        return Estimate(objective=objective, control_loss=objective.new_zeros(()))


def _gauss_hermite(num_nodes: int) -> tuple[Tensor, Tensor]:
    # Nodes and weights for the standard normal: the eigenvalues of the Jacobi matrix of its orthogonal polynomials,
    # x He_n = He_{n+1} + n He_{n-1}, and the squared first components of the eigenvectors.
    beside = torch.arange(1, num_nodes, dtype=torch.float64).sqrt()
    nodes, vectors = torch.linalg.eigh(beside.diag(1) + beside.diag(-1))
    return nodes, vectors[0].square()
