"""Estimators without noise: every state of a discrete latent, or the nodes of a quadrature of a normal one."""

from typing import ClassVar, final

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, MultivariateNormal, Normal

from reparam_suite.estimators.base import Estimate, Expectation, GradientEstimator, require_at_least
from reparam_suite.estimators.bounds import Average, LogMeanExp
from reparam_suite.distributions import OneHotCategorical, family, reparameterized


@final
class Enumeration(GradientEstimator):
    """The exact expectation: the sum over every state of q, and over every K-tuple of states on LogMeanExp.

    sum_z q(z) f(z)                                                                  [*B]

    No bias, no variance; f may be a black box. 2^D or C^D evaluations of f.

    Args:
        num_samples: K of a multi-sample bound; on Average the expectation does not depend on it.
        max_states: the largest number of states, or of K-tuples of them, that is accepted.

    Raises:
        ValueError: if q has more states than `max_states`.
    """

    families = (Bernoulli, OneHotCategorical)
    bounds = (Average, LogMeanExp)
    differentiates_f = False
    unbiased = True

    def __init__(self, *, num_samples: int = 1, max_states: int = 16_384) -> None:
        super().__init__(num_samples=num_samples)
        self.max_states = max_states

    def evaluations(self, q: Distribution) -> int:
        """The number of states, 2^D or C^D."""
        num_values = 2 if family(q) is Bernoulli else q.event_shape[-1]
        return int(num_values ** q.event_shape[0])

    def check(self, target: Expectation) -> None:
        """Refuses more states than `max_states` as well."""
        super().check(target)
        states = self.evaluations(target.q)
        tuple_size = self._tuple_size(target)
        if states**tuple_size > self.max_states:
            shape = "x".join(map(str, target.q.event_shape))
            wanted = f"{states:,}" if tuple_size == 1 else f"{states:,}^{tuple_size}"
            if states >= 10**12:
                wanted = f"about 10^{len(str(states**tuple_size)) - 1}"
            raise ValueError(
                f"Enumeration of {wanted} states (latents of shape {shape}) is too many: "
                f"max_states is {self.max_states:,}"
            )

    def estimate(self, target: Expectation) -> Estimate:
        """The weighted sum, differentiated as it stands."""
        z = self.states(target.q)
        log_q = target.q.log_prob(z)
        f = target.values(z)
        tuples = torch.cartesian_prod(*[torch.arange(len(z), device=f.device)] * self._tuple_size(target))
        tuples = tuples.reshape(len(tuples), -1).T  # [tuple size, number of tuples]
        objective = (log_q[tuples].sum(0).exp() * target.bound.value(f[tuples])).sum(0)
        return Estimate(objective=objective, control_loss=objective.new_zeros(()))

    def states(self, q: Distribution) -> Tensor:
        """Every z that q can give, `[S, *B, D]` or `[S, *B, D, C]`."""
        logits = q.base_dist.logits  # type: ignore[attr-defined]
        num_latents = q.event_shape[0]
        num_values = 2 if family(q) is Bernoulli else q.event_shape[-1]
        place = num_values ** torch.arange(num_latents, device=logits.device)
        digits = torch.arange(self.evaluations(q), device=logits.device).unsqueeze(-1) // place % num_values
        z = digits if family(q) is Bernoulli else F.one_hot(digits, num_values)
        batch = (1,) * len(q.batch_shape)
        return z.to(logits.dtype).reshape(len(z), *batch, *q.event_shape).expand(len(z), *logits.shape)

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

    families = (Normal, MultivariateNormal)
    bounds = (Average,)
    differentiates_f = True
    unbiased = True
    max_latents: ClassVar[int] = 3

    def __init__(self, *, num_nodes: int = 20) -> None:
        super().__init__()
        require_at_least(self, "num_nodes", num_nodes, 1)
        self.num_nodes = num_nodes
        self._rule = _gauss_hermite(num_nodes)

    def evaluations(self, q: Distribution) -> int:
        """The number of nodes, num_nodes^D."""
        return int(self.num_nodes ** q.event_shape[0])

    def check(self, target: Expectation) -> None:
        """Refuses more than 3 latents as well."""
        super().check(target)
        num_latents = target.q.event_shape[0]
        if num_latents > self.max_latents:
            raise ValueError(f"Quadrature takes at most {self.max_latents} latents, got {num_latents}")

    def estimate(self, target: Expectation) -> Estimate:
        """The weighted sum over nodes that move with q."""
        num_latents, batch = target.q.event_shape[0], (1,) * len(target.q.batch_shape)
        grid, weights = (torch.cartesian_prod(*[each] * num_latents).reshape(-1, num_latents) for each in self._rule)
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
