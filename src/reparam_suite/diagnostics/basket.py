"""A basket of estimators on one checkpoint: the same parameters and the same minibatch for each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import final

from torch import Tensor

from reparam_suite.diagnostics.bias import GradientBias, gradient_bias
from reparam_suite.diagnostics.cost import GradientCost, gradient_cost
from reparam_suite.diagnostics.gradients import gradient_statistics
from reparam_suite.diagnostics.measuring import estimated_by
from reparam_suite.diagnostics.memory import DEFAULT_BUDGET
from reparam_suite.diagnostics.reference import ReferenceGradient
from reparam_suite.diagnostics.statistics import GradientStatistics
from reparam_suite.estimators import GradientEstimator
from reparam_suite.models import VAE
from reparam_suite.objectives import KL


@final
@dataclass(frozen=True, kw_only=True)
class BasketRow:
    """One estimator on the model.

    Attributes:
        name: as it was given.
        unbiased: what the estimator says of itself.
        kl: how the divergence from the prior entered: sampled where the estimator needs it.
        cost: of one gradient.
        statistics: by group and by variational parameter.
        bias: likewise; empty if there was no reference.
    """

    name: str
    unbiased: bool
    kl: KL
    cost: GradientCost
    statistics: dict[str, GradientStatistics]
    bias: dict[str, GradientBias]

    def work_normalized(self, group: str) -> Tensor:
        """The variance of the group's gradient times the milliseconds that one takes, `[]`."""
        return self.cost.normalized(self.statistics[group].variance)

    def figures(self) -> dict[str, float | int | bool | str]:
        """All of it as plain numbers, for a table or a file."""
        result: dict[str, float | int | bool | str] = {
            "estimator": self.name,
            "unbiased": self.unbiased,
            "kl": self.kl,
            "evaluations": self.cost.evaluations,
            "milliseconds": self.cost.milliseconds,
            "peak_bytes": self.cost.peak_bytes,
        }
        for group, measured in self.statistics.items():
            result[f"{group}/variance"] = float(measured.variance)
            result[f"{group}/variance_standard_error"] = float(measured.standard_error)
            result[f"{group}/snr"] = float(measured.snr)
            result[f"{group}/work_normalized_variance"] = float(self.work_normalized(group))
        for group, bias in self.bias.items():
            result[f"{group}/relative_bias"] = float(bias.relative)
            result[f"{group}/squared_bias"] = float(bias.squared_bias)
            result[f"{group}/squared_bias_standard_error"] = float(bias.squared_bias_error)
            result[f"{group}/cosine"] = float(bias.cosine)
            result[f"{group}/cosine_standard_error"] = float(bias.cosine_error)
        return result


def measure(
    model: VAE,
    x: Tensor,
    estimators: Mapping[str, GradientEstimator],
    *,
    num_repeats: int = 16,
    reference: Mapping[str, ReferenceGradient] | None = None,
    memory_budget: int = DEFAULT_BUDGET,
) -> Iterator[BasketRow]:
    """A row for each estimator, as it is done, in the order given.

    The model has its own estimator back with every row. An estimator with parameters of its own is measured with those
    that it has: a fresh one is untrained. Of a multi-sample bound, estimators with another number of samples have
    another objective.

    Args:
        model: whose parameters are frozen.
        x: the minibatch, `[B, P]`.
        estimators: by the name that the row shall have.
        num_repeats: R, gradients of each datum.
        reference: from `reference_gradients` of the same model and x; without it no bias is measured.
        memory_budget: bytes.

    Raises:
        ValueError: when an estimator is reached that does not fit the model, naming both; `misfit` tells in advance.
    """
    for name, estimator in estimators.items():
        with estimated_by(model, estimator):
            row = BasketRow(
                name=name,
                unbiased=estimator.unbiased,
                kl=model.kl,
                cost=gradient_cost(model, x),
                statistics=gradient_statistics(model, x, num_repeats, memory_budget=memory_budget),
                bias={} if reference is None else gradient_bias(model, x, reference, memory_budget=memory_budget),
            )
        yield row


def misfit(model: VAE, estimator: GradientEstimator) -> str | None:
    """Why the estimator does not fit the model's posterior and bound; None if it does."""
    try:
        with estimated_by(model, estimator):
            return None
    except ValueError as reason:
        return str(reason)


def ranked(rows: list[BasketRow], group: str = "encoder") -> list[BasketRow]:
    """The rows by work-normalised variance of the group, the best first."""
    return sorted(rows, key=lambda row: float(row.work_normalized(group)))
