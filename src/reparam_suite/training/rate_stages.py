"""Learning rates in stages: one after the other, each for so many steps."""

from collections.abc import Sequence
from typing import Any, final

from lightning.pytorch import Callback, LightningModule, Trainer

from reparam_suite.runtime import checks
from reparam_suite.runtime.errors import ArgumentTypeError, ArgumentValueError


@final
class LearningRateStages(Callback):
    """Sets the learning rate of each stage of a training, for all parts of a model; the last one's stays.

    Args:
        stages: the optimizer steps of each, and its learning rate.

    Raises:
        TypeError: if a stage is no pair of numbers.
        ValueError: if there is no stage, or one has no step or a rate that is not positive and finite.
    """

    def __init__(self, stages: list[tuple[int, float]]) -> None:
        given: Any = stages
        if not isinstance(given, Sequence) or isinstance(given, str):
            raise ArgumentTypeError(f"stages: expected a list of [steps, learning rate], got {given!r}")
        if not given:
            raise ArgumentValueError("stages: expected at least one, got none")
        self.stages = [_stage(stage) for stage in given]

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


def _stage(stage: Any) -> tuple[int, float]:
    if not isinstance(stage, Sequence) or isinstance(stage, str) or len(stage) != 2:
        raise ArgumentTypeError(f"stages: expected [steps, learning rate] in each, got {stage!r}")
    steps, rate = stage
    return checks.integer("steps of stages", steps, least=1), checks.number("rate of stages", rate, above=0.0)
