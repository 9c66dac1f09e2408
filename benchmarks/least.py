"""The floor under the cost of a gradient estimator."""

from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from reparam_suite.distributions import parameters
from reparam_suite.estimators import (
    Average,
    ControlledPathwise,
    Estimate,
    Expectation,
    GradientEstimator,
    GumbelRao,
    Learned,
    LogMeanExp,
    ScoreFunction,
    SumAndSample,
    UnorderedSet,
)
from reparam_suite.estimators.base import carry, only_through, slopes
from reparam_suite.estimators.control_variates import ControlledScore
from reparam_suite.estimators.distinct_states import log_probabilities
from reparam_suite.estimators.double_cv import DoublyControlled
from reparam_suite.estimators.relaxation import softened


@final
class Least(GradientEstimator):
    """The operations that no code for an estimator can do without: its evaluations of f, noise, and its own networks.

    Args:
        estimator: at the samples of which f is evaluated.
        z: those samples, given.
    """

    bounds = (Average, LogMeanExp)
    differentiates_f = True
    unbiased = False

    def __init__(self, estimator: GradientEstimator, z: Tensor) -> None:
        super().__init__()
        self.own = estimator
        self.z = nn.Parameter(z, requires_grad=estimator.differentiates_f)
        self.scale = nn.Parameter(torch.ones(()))
        self.beside = "-"

    def estimate(self, target: Expectation) -> Estimate:
        """The bound at the given samples, with no gradient with respect to q."""
        self._draw(target.q)
        f, control_loss = target.values(self.z), torch.zeros((), device=self.z.device)
        match self.own:
            case ScoreFunction(baseline=Learned() as learned) if target.context is not None:
                self.beside = "its network, forward and backward"
                control_loss = carry(learned.network(target.context).square().mean())
            case ControlledScore():
                self.beside = "the slope at the relaxed sample, differentiated again"
                relaxed = self.z * self.scale
                slope = slopes(target.values(relaxed), relaxed, create_graph=True)
                control_loss = only_through(slope.square().mean(), [self.scale])
            case ControlledPathwise():
                self.beside = "the slope at the mean, and its products with the Hessian there"
                slope = slopes(target.values(self.z), self.z, create_graph=True)
                directions = torch.stack([slope.detach()] * 2 * len(self.z))
                torch.autograd.grad(slope, self.z, directions, is_grads_batched=True)
            case DoublyControlled():
                self.beside = "the slopes, by a backward pass of their own"
                slopes(f, self.z, retain_graph=True)
        return Estimate(objective=target.bound.value(f), control_loss=control_loss)

    def _draw(self, q: Distribution) -> None:
        torch.rand(self.z.shape[: len(q.batch_shape) + 2], device=self.z.device)  # one chooses the class of a latent
        match self.own:
            case GumbelRao():
                self.beside = "the noise and the softmaxes of R draws"
                logits = parameters(q)["logits"].detach()
                for noise in self.own.draw(q):
                    softened(q, logits + noise, 0.5)
            case UnorderedSet() | SumAndSample():
                self.beside = "log-probabilities of every value, in float64"
                log_probabilities(q)
