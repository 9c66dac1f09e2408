"""Two models without networks, whose numbers are known exactly."""

import itertools

import torch
import torch.nn.functional as F

from reparam_suite.distributions import bernoulli, multivariate_normal, normal
from reparam_suite.estimators import Enumeration, GradientEstimator, Pathwise

X = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
NUM_BITS = 2


class Bits:
    """Two bits behind three pixels; q depends on x through a linear encoder."""

    def __init__(self) -> None:
        self.encoder = torch.tensor([[0.9, -0.3, 0.4], [-1.2, 0.5, 0.7]], dtype=torch.float64).requires_grad_()
        self.prior_logits = torch.tensor([0.6, -0.9], dtype=torch.float64).requires_grad_()
        self.decoder = torch.tensor([[1.1, -0.7, 0.2], [0.4, 1.6, -1.3]], dtype=torch.float64).requires_grad_()
        self.estimator: GradientEstimator = Enumeration()
        self.rows_decoded: list[int] = []

    def posterior(self, x):
        return bernoulli(x @ self.encoder.T)

    def prior(self):
        return bernoulli(self.prior_logits)

    def log_likelihood(self, x, z):
        self.rows_decoded.append(len(z))
        logits = z @ self.decoder
        return (x * logits - F.softplus(logits)).sum(-1)

    def states(self) -> torch.Tensor:
        """Every z, `[4, B, 2]`."""
        z = torch.tensor(list(itertools.product([0.0, 1.0], repeat=NUM_BITS)), dtype=torch.float64)
        return z.unsqueeze(1).expand(-1, len(X), -1)

    def exact_parts(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """q, log p(x|z) and log p(z) - log q(z) of every state, `[4, B]` each."""
        z, q = self.states(), self.posterior(X)
        log_q = q.log_prob(z)
        return log_q.exp(), self.log_likelihood(X, z), self.prior().log_prob(z) - log_q


class LinearGaussian:
    """p(z) = N(0, I), p(x|z) = N(W z, s^2 I); q is the exact posterior, moved by `shift`."""

    def __init__(self, shift: float = 0.0) -> None:
        self.weight = torch.tensor([[0.9, -0.4], [0.3, 1.2], [-0.8, 0.5]], dtype=torch.float64)
        self.noise = 0.7
        self.shift = shift
        self.estimator: GradientEstimator = Pathwise(num_samples=5)

    def posterior(self, x):
        precision = torch.eye(2, dtype=torch.float64) + self.weight.T @ self.weight / self.noise**2
        covariance = torch.linalg.inv(precision)
        loc = x @ self.weight @ covariance / self.noise**2 + self.shift
        return multivariate_normal(loc, torch.linalg.cholesky(covariance).expand(len(x), 2, 2))

    def prior(self):
        return normal(torch.zeros(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64))

    def log_likelihood(self, x, z):
        return normal(z @ self.weight.T, torch.full_like(x, self.noise)).log_prob(x)

    def log_evidence(self, x) -> torch.Tensor:
        covariance = self.weight @ self.weight.T + self.noise**2 * torch.eye(3, dtype=torch.float64)
        return torch.distributions.MultivariateNormal(torch.zeros(3, dtype=torch.float64), covariance).log_prob(x)
