"""Learning rates in stages: one after the other, each for so many steps."""

import math
from typing import Any, final

from lightning.pytorch import Callback, LightningModule, Trainer

from reparam_suite.runtime.errors import ArgumentValueError


@final
class LearningRateStages(Callback):
    """Sets the learning rate of each stage of a training, for all parts of a model; the last one's stays.

    Args:
        stages: the optimizer steps of each, and its learning rate.

    Raises:
        ValueError: if there is no stage, or one has no step or a rate that is not positive and finite.
    """

    def __init__(self, stages: list[tuple[int, float]]) -> None:
        if not stages:
            raise ArgumentValueError("stages: expected at least one, got none")
        for num_steps, rate in stages:
            if num_steps < 1 or not 0.0 < rate < math.inf:
                raise ArgumentValueError(
                    f"stages: expected at least one step and a positive rate in each, got [{num_steps}, {rate}]"
                )
        self.stages = list(stages)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Sets the rate of the step that begins."""
        rate = self.rate_at(trainer.global_step)
        for optimizer in trainer.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate

    def rate_at(self, step: int) -> float:
        """The rate of the step after `step` steps."""
        for num_steps, rate in self.stages:
            step -= num_steps
            if step < 0:
                return rate
        return self.stages[-1][1]
