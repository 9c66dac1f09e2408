"""What a run has told: every number goes through here, to the logger and to whoever shows it."""

from collections import defaultdict
from collections.abc import Mapping
from typing import final

import torch
from lightning.pytorch.loggers import Logger
from torch import Tensor


@final
class Journal:
    """The metrics of one run, by name and step.

    Attributes:
        curves: all values of each metric with their steps.
        logger: which is told as well, if there is one.
    """

    def __init__(self) -> None:
        self.curves: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        self.logger: Logger | None = None

    def write(self, metrics: Mapping[str, float], step: int) -> None:
        """Records metrics at a step."""
        for name, value in metrics.items():
            self.curves[name].append((step, value))
        if self.logger is not None:
            self.logger.log_metrics(dict(metrics), step=step)

    def state_dict(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Steps and values of each metric."""
        return {
            name: (
                torch.tensor([step for step, _ in curve], dtype=torch.int64),
                torch.tensor([value for _, value in curve], dtype=torch.float64),
            )
            for name, curve in self.curves.items()
        }

    def load_state_dict(self, state_dict: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        """Takes the place of what is here; the logger has it already."""
        self.curves.clear()
        for name, (steps, values) in state_dict.items():
            self.curves[name] = list(zip(steps.tolist(), values.tolist(), strict=True))

    def latest(self, name: str) -> float | None:
        """The newest value of a metric."""
        return self.curves[name][-1][1] if name in self.curves else None

    def step_of(self, name: str) -> int | None:
        """The step of the newest value of a metric."""
        return self.curves[name][-1][0] if name in self.curves else None
