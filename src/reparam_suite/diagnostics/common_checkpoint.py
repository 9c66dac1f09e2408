"""Estimators on a common checkpoint: the same parameters and the same minibatches for each."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from torch import Tensor

from reparam_suite.diagnostics.batches import Batch
from reparam_suite.diagnostics.bias import GradientBias, add_biases, bias_sums
from reparam_suite.diagnostics.cost import GradientCost, gradient_cost
from reparam_suite.diagnostics.gradients import Measurement
from reparam_suite.diagnostics.measured_model import MeasuredModel
from reparam_suite.diagnostics.measuring import estimated_by, incompatibility, measuring
from reparam_suite.diagnostics.memory import DEFAULT_BUDGET
from reparam_suite.diagnostics.reference import ReferenceGradient
from reparam_suite.diagnostics.statistics import GradientStatistics, GradientSums, averaged
from reparam_suite.estimators import GradientEstimator

NUM_ROUNDS = 8
"""Independent measurements of a minibatch: products of different ones give the bias, leaving one out its error."""


@final
@dataclass(frozen=True, kw_only=True)
class EstimatorRow:
    """One estimator on the model.

    Attributes:
        name: the one that it was given under.
        unbiased: whether the estimator declares its gradient unbiased.
        closed_form: whether a term of the objective entered in closed form, such as an analytic KL; not where the
            estimator needs it sampled.
        cost: of one gradient.
        statistics: by part and by variational parameter.
        bias: likewise; empty if there was no reference.
    """

    name: str
    unbiased: bool
    closed_form: bool
    cost: GradientCost
    statistics: dict[str, GradientStatistics]
    bias: dict[str, GradientBias]

    def work_normalized(self, group: str) -> Tensor:
        """The variance of the part's gradient times the milliseconds that one takes, `[]`."""
        return self.cost.normalized(self.statistics[group].variance)

    def figures(self) -> dict[str, float | int | bool | str]:
        """All of it as plain numbers, for a table or a file.

        Of an estimator that declares itself unbiased, or whose bias noise hides, `relative_bias` is NaN and
        `relative_bias_below` what the measurement resolves; of any other it is the other way round.
        """
        result: dict[str, float | int | bool | str] = {
            "estimator": self.name,
            "unbiased": self.unbiased,
            "closed_form": self.closed_form,
            "evaluations": self.cost.evaluations,
            "milliseconds": self.cost.milliseconds,
            "peak_bytes": self.cost.peak_bytes,
        }
        for group, measured in self.statistics.items():
            result[f"{group}/variance"] = float(measured.variance)
            result[f"{group}/variance_standard_error"] = float(measured.standard_error)
            result[f"{group}/snr"] = float(measured.snr)
            result[f"{group}/work_normalized_variance"] = float(self.work_normalized(group))
            result[f"{group}/variance_times_evaluations"] = float(measured.variance) * self.cost.evaluations
        for group, bias in self.bias.items():
            seen = bias.is_seen and not self.unbiased  # what noise alone makes is no bias
            result[f"{group}/relative_bias"] = float(bias.relative) if seen else math.nan
            result[f"{group}/relative_bias_below"] = math.nan if seen else bias.resolution
            result[f"{group}/squared_bias"] = float(bias.squared_bias)
            result[f"{group}/squared_bias_standard_error"] = float(bias.squared_bias_error)
            result[f"{group}/cosine"] = float(bias.cosine)
            result[f"{group}/cosine_standard_error"] = float(bias.cosine_error)
        return result


def measure(
    model: MeasuredModel,
    batches: Sequence[Batch],
    estimators: Mapping[str, GradientEstimator],
    *,
    references: Sequence[Mapping[str, ReferenceGradient]] = (),
    num_repeats: int = 8,
    memory_budget: int = DEFAULT_BUDGET,
    after_batch: Callable[[str], object] = lambda _: None,
) -> Iterator[EstimatorRow]:
    """A row for each estimator, as soon as it is measured, in the order given.

    Variances and squared biases are means over the minibatches; milliseconds are those of the least disturbed one, and
    memory is the most. Eight rounds are drawn of each minibatch, and serve variance and bias alike.

    The model has its own estimator back with every row. An estimator with parameters of its own is measured with those
    that it has: a fresh one is untrained. Of a multi-sample bound, estimators with another number of samples have
    another objective.

    Args:
        model: whose parameters are frozen.
        batches: the minibatches, of one size.
        estimators: by the name that the row shall have.
        references: of each minibatch, from `reference_gradients` of the same model; without them no bias is measured.
        num_repeats: R, gradients of each datum in a round.
        memory_budget: bytes.
        after_batch: called with the estimator's name when a minibatch is done.

    Raises:
        ValueError: when an estimator is reached that does not fit the model, naming both; `incompatibility` finds it in
            advance.
    """
    for name, estimator in estimators.items():
        if reason := incompatibility(model, batches[0], estimator):
            raise ValueError(reason)
        with estimated_by(model, estimator):
            costs: list[GradientCost] = []
            rounds: list[list[dict[str, GradientSums]]] = []
            with measuring(model):  # one for all: the noise of the minibatches is independent
                closed_form = model.expectation(batches[0]).exact is not None
                measurement = Measurement(model, batches[0])
                for batch in batches:
                    costs.append(gradient_cost(model, batch))
                    rounds.append(
                        [measurement.sums(batch, num_repeats, memory_budget=memory_budget) for _ in range(NUM_ROUNDS)]
                    )
                    after_batch(name)
            drawn = [sums for of_batch in rounds for sums in of_batch]
            biases = [bias_sums(*pair) for pair in zip(rounds, references, strict=True)] if references else []
            row = EstimatorRow(
                name=name,
                unbiased=estimator.unbiased,
                closed_form=closed_form,
                cost=_typical(costs),
                statistics={
                    group: averaged([of_batch[group].statistics() for of_batch in drawn]) for group in drawn[0]
                },
                bias={group: sums.bias(len(biases)) for group, sums in add_biases(biases).items()} if biases else {},
            )
        yield row


def _typical(costs: Sequence[GradientCost]) -> GradientCost:
    return GradientCost(
        evaluations=costs[0].evaluations,
        milliseconds=min(cost.milliseconds for cost in costs),  # where the machine was disturbed least
        peak_bytes=max(cost.peak_bytes for cost in costs),
    )


def ranked(rows: list[EstimatorRow], group: str = "encoder") -> list[EstimatorRow]:
    """The rows by work-normalised variance of the part, the best first."""
    return sorted(rows, key=lambda row: float(row.work_normalized(group)))
