"""A basket of estimators on one checkpoint: the same parameters and the same minibatches for each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from torch import Tensor

from reparam_suite.diagnostics.bias import GradientBias, add_biases, bias_sums
from reparam_suite.diagnostics.cost import GradientCost, gradient_cost
from reparam_suite.diagnostics.gradients import sums_while_measuring
from reparam_suite.diagnostics.measuring import estimated_by, measuring
from reparam_suite.diagnostics.memory import DEFAULT_BUDGET
from reparam_suite.diagnostics.reference import ReferenceGradient
from reparam_suite.diagnostics.statistics import GradientStatistics, GradientSums, averaged
from reparam_suite.estimators import GradientEstimator
from reparam_suite.models import VAE
from reparam_suite.objectives import KL

NUM_ROUNDS = 8
"""Independent measurements of a minibatch: products of different ones give the bias, leaving one out its error."""


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
    batches: Sequence[Tensor],
    estimators: Mapping[str, GradientEstimator],
    *,
    references: Sequence[Mapping[str, ReferenceGradient]] = (),
    num_repeats: int = 8,
    memory_budget: int = DEFAULT_BUDGET,
    after_batch: Callable[[str], object] = lambda _: None,
) -> Iterator[BasketRow]:
    """A row for each estimator, as it is done, in the order given.

    Variances and squared biases are means over the minibatches; milliseconds are those of the least disturbed one, and
    memory is the most. Eight rounds are drawn of each minibatch, and serve variance and bias alike.

    The model has its own estimator back with every row. An estimator with parameters of its own is measured with those
    that it has: a fresh one is untrained. Of a multi-sample bound, estimators with another number of samples have
    another objective.

    Args:
        model: whose parameters are frozen.
        batches: the minibatches, `[B, P]` each, of one size.
        estimators: by the name that the row shall have.
        references: of each minibatch, from `reference_gradients` of the same model; without them no bias is measured.
        num_repeats: R, gradients of each datum in a round.
        memory_budget: bytes.
        after_batch: called with the estimator's name when a minibatch is done.

    Raises:
        ValueError: when an estimator is reached that does not fit the model, naming both; `misfit` tells in advance.
    """
    for name, estimator in estimators.items():
        with estimated_by(model, estimator):
            costs: list[GradientCost] = []
            rounds: list[list[dict[str, GradientSums]]] = []
            with measuring(model, batches[0]):  # one for all: the noise of the minibatches is independent
                for x in batches:
                    costs.append(gradient_cost(model, x))
                    rounds.append(_rounds(model, x, num_repeats, memory_budget))
                    after_batch(name)
            drawn = [sums for of_batch in rounds for sums in of_batch]
            biases = [bias_sums(*each) for each in zip(rounds, references, strict=True)] if references else []
            row = BasketRow(
                name=name,
                unbiased=estimator.unbiased,
                kl=model.kl,
                cost=_typical(costs),
                statistics={group: averaged([each[group].statistics() for each in drawn]) for group in drawn[0]},
                bias={group: each.bias(len(biases)) for group, each in add_biases(biases).items()} if biases else {},
            )
        yield row


def _rounds(model: VAE, x: Tensor, num_repeats: int, memory_budget: int) -> list[dict[str, GradientSums]]:
    return [sums_while_measuring(model, x, num_repeats, memory_budget=memory_budget) for _ in range(NUM_ROUNDS)]


def _typical(costs: Sequence[GradientCost]) -> GradientCost:
    return GradientCost(
        evaluations=costs[0].evaluations,
        milliseconds=min(each.milliseconds for each in costs),  # where the machine was disturbed least
        peak_bytes=max(each.peak_bytes for each in costs),
    )


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
