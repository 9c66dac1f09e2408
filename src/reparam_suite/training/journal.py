"""The journal of a run: every recorded number passes through it, to the store and to whatever shows it."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Protocol, final

import torch
from torch import Tensor

from reparam_suite.training.metrics_file import MetricsFile


class Listener(Protocol):
    """Something else that gets the numbers."""

    def record(self, metrics: Mapping[str, float], step: int) -> None:
        """Takes numbers at a step; raises nothing."""


class MetricStore(Protocol):
    """A place that stores a run's numbers."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Stores numbers at a step."""

    def log_arrays(self, arrays: Mapping[str, Tensor], name: str) -> None:
        """Stores arrays as one file."""

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Stores tags of the run."""


@final
class Journal:
    """The metrics and arrays of one run.

    Attributes:
        curves: all values of each metric with their steps.
        arrays: arrays that were kept whole, by the name of their file.
        logger: the store that gets everything too, if there is one.
        file: that gets every number too, if there is one.
        listeners: that get every number too.
    """

    def __init__(self) -> None:
        self.curves: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        self.arrays: dict[str, dict[str, Tensor]] = {}
        self.logger: MetricStore | None = None
        self.file: MetricsFile | None = None
        self.listeners: list[Listener] = []

    def write(self, metrics: Mapping[str, float], step: int) -> None:
        """Records metrics at a step."""
        for name, value in metrics.items():
            self.curves[name].append((step, value))
        if self.file is not None:
            self.file.write(metrics, step)
        if self.logger is not None:
            self.logger.log_metrics(dict(metrics), step=step)
        for listener in self.listeners:
            listener.record(metrics, step)

    def keep(self, arrays: Mapping[str, Tensor], name: str) -> None:
        """Records arrays as one file called `name`, which may have directories; copies on the CPU are kept."""
        self.arrays[name] = {key: array.detach().cpu() for key, array in arrays.items()}
        if self.logger is not None:
            self.logger.log_arrays(self.arrays[name], name)

    def tag(self, tags: Mapping[str, str]) -> None:
        """Tags the run."""
        if self.logger is not None:
            self.logger.set_tags(tags)

    def state_dict(self) -> dict[str, Any]:
        """Steps and values of each metric, and the arrays."""
        curves = {
            name: (
                torch.tensor([step for step, _ in curve], dtype=torch.int64),
                torch.tensor([value for _, value in curve], dtype=torch.float64),
            )
            for name, curve in self.curves.items()
        }
        return {"curves": curves, "arrays": self.arrays}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Replaces the content of this journal; the store has it already."""
        self.curves.clear()
        for name, (steps, values) in state_dict["curves"].items():
            self.curves[name] = list(zip(steps.tolist(), values.tolist(), strict=True))
        self.arrays = {name: dict(arrays) for name, arrays in state_dict["arrays"].items()}

    def latest(self, name: str) -> float | None:
        """The newest value of a metric."""
        return self.curves[name][-1][1] if name in self.curves else None

    def step_of(self, name: str) -> int | None:
        """The step of the newest value of a metric."""
        return self.curves[name][-1][0] if name in self.curves else None
