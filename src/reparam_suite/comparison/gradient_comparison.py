"""The result of a comparison of gradient estimators: rows, a frame, a figure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

from reparam_suite.comparison.estimator_training import TrainingCost
from reparam_suite.diagnostics import EstimatorRow
from reparam_suite.figures import gradient_cost

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


@final
@dataclass(frozen=True, kw_only=True)
class GradientComparison:
    """Gradient estimators measured on the same parameters and the same minibatches.

    Attributes:
        rows: one for each estimator, in the order given, with every part of the model.
        parts: of the model, by name; the first is the one of `frame` and `figure`.
        left_out: the refusal, which begins with the estimator's name, by expression.
        learned_parts: of each estimator: "none", "trained" with the model, "trained here" on the frozen model, or
            "initial".
        untrained: the rows that estimators trained here had before, by expression.
        training: the cost of training them, by expression.
        own: the expression of the model's own estimator, if it is among them.
        reference: the expressions of the estimators whose mean bias and cosine are held against; "" if there is none.
        num_estimators: to be measured, this many.
    """

    rows: tuple[EstimatorRow, ...]
    parts: tuple[str, ...]
    left_out: Mapping[str, str]
    learned_parts: Mapping[str, str]
    own: str | None
    reference: str
    num_estimators: int
    untrained: Mapping[str, EstimatorRow] = field(default_factory=dict)
    training: Mapping[str, TrainingCost] = field(default_factory=dict)

    @property
    def frame(self) -> "DataFrame":
        """A row per estimator, indexed by its expression.

        variance: trace of the covariance of the minibatch gradient of the first part over the estimator's noise
        standard_error: of that variance
        squared_norm: |E g|^2, estimated without bias, so that noise can bring it below 0
        snr: squared_norm / variance
        cosine: of the angle between E g and the reference, without the bias of noise: it may exceed 1 by its error
        evaluations: of f per datum
        ms: milliseconds per gradient, forward and backward
        untrained: the variance before what the estimator learns was trained on the frozen model; of all three NaN where
            nothing was trained here, and no columns where nothing was at all
        training_evaluations: of f per datum, for that training
        training_ms: milliseconds of that training
        """
        from pandas import DataFrame, Index

        names = Index([row.name for row in self.rows], name="estimator", dtype=object)
        return DataFrame([self._numbers(row) for row in self.rows], index=names, columns=self._columns)

    @property
    def _columns(self) -> list[str]:
        return [*_COLUMNS, *(_OF_TRAINING if self.training else ())]

    def figure(self, part: str | None = None) -> "Figure":
        """The variance of the gradient with respect to a part, by default the first, against milliseconds.

        Raises:
            ValueError: if nothing was measured, or there is no such part.
        """
        part = self.parts[0] if part is None else part
        if not self.rows:
            raise ValueError(f"figure: expected a measured estimator, got none; left out: {', '.join(self.left_out)}")
        if part not in self.rows[0].statistics:
            raise ValueError(f"part: expected {', '.join(self.rows[0].statistics)}, got {part}")
        points = {
            row.name: (
                row.cost.milliseconds,
                float(row.statistics[part].variance),
                float(row.statistics[part].standard_error),
            )
            for row in self.rows
        }
        return gradient_cost(points, biased=[row.name for row in self.rows if not row.unbiased], group=part)

    def _numbers(self, row: EstimatorRow) -> dict[str, float | int]:
        measured, bias = row.statistics[self.parts[0]], row.bias.get(self.parts[0])
        cost, before = self.training.get(row.name), self.untrained.get(row.name)
        return {
            "untrained": math.nan if before is None else float(before.statistics[self.parts[0]].variance),
            "training_evaluations": math.nan if cost is None else cost.evaluations,
            "training_ms": math.nan if cost is None else cost.milliseconds,
            "variance": float(measured.variance),
            "standard_error": float(measured.standard_error),
            "squared_norm": float(measured.squared_norm),
            "snr": float(measured.snr),
            "cosine": float("nan") if bias is None else float(bias.cosine),
            "evaluations": row.cost.evaluations,
            "ms": row.cost.milliseconds,
        }


_COLUMNS = ("variance", "standard_error", "squared_norm", "snr", "cosine", "evaluations", "ms")
_OF_TRAINING = ("untrained", "training_evaluations", "training_ms")
