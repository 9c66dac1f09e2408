"""The interface of objectives, and what an objective may ask of a model."""

from typing import Any, Protocol, runtime_checkable

from torch import Tensor
from torch.distributions import Distribution

from reparam_suite.estimators import Expectation, GradientEstimator


class LatentVariableModel(Protocol):
    """The part of a model that an objective may use; x is `[*B, *datum]`, z is `[K, *B, *event]`."""

    @property
    def estimator(self) -> GradientEstimator:
        """The estimator of the gradient: it decides whether a closed-form KL is admitted, and K."""

    @property
    def posterior(self) -> Any:
        """The module x -> q(z|x), batch_shape `[*B]`."""

    @property
    def prior(self) -> Any:
        """The module whose forward returns p(z), batch_shape `[]`."""

    def log_likelihood(self, x: Tensor, z: Tensor, /) -> Tensor:
        """log p(x|z), `[K, *B]`, in nats."""


@runtime_checkable
class Objective(Protocol):
    """The interface of objectives: a function, or a plain object with `__call__`, that returns what is maximised.

    Attributes and methods of these names are used where there are any:

    record_as: "elbo" or "bound", the name on record; else it is recorded as "objective".
    weight_at(step): the weight of the KL; steps at which it is not 1 are recorded as "objective".
    kl_of(target, step): KL(q || p), `[*B]`, from an Expectation that the objective has made, where it is known already.
    """

    def __call__(self, model: Any, x: Tensor, step: int, /) -> Expectation:
        """The expectation for the data x `[*B, *datum]` after `step` optimizer steps."""


def context_of(x: Tensor, q: Distribution) -> Tensor:
    """x flattened over the axes of a datum, `[*B, P]`: what a learned baseline sees."""
    axes = len(q.batch_shape)
    return x if x.dim() == axes + 1 else x.flatten(axes) if x.dim() > axes else x.unsqueeze(-1)
