"""The values by which a trial is judged."""

import difflib
import math
from collections.abc import Mapping, Sequence
from statistics import fmean


def value_of(metrics: Mapping[str, float], metric: str) -> float:
    """The value of a metric of a run.

    Raises:
        ValueError: if the run has none, or it is not finite.
    """
    if metric not in metrics:
        near = difflib.get_close_matches(metric, metrics, n=1)
        mend = f", did you mean {near[0]}?" if near else ""
        raise ValueError(f"the run has no metric {metric}{mend} It has {', '.join(sorted(metrics))}")
    if not math.isfinite(metrics[metric]):
        raise ValueError(f"{metric} is {metrics[metric]}")
    return metrics[metric]


def mean_of(runs: Sequence[Mapping[str, float]], metric: str) -> float:
    """The mean of a metric over the runs of a trial.

    Raises:
        ValueError: if a run has none, or it is not finite.
    """
    return fmean(value_of(metrics, metric) for metrics in runs)
