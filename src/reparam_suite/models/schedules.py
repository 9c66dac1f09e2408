"""Schedules of the learning rate: the factor by which it is multiplied in each optimizer step."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from reparam_suite.runtime.checks import integer, number
from reparam_suite.runtime.errors import ArgumentTypeError


class Schedule(ABC):
    """A factor of the learning rate that depends on the number of optimizer steps taken, and on nothing else.

    A subclass keeps its arguments as attributes of the same names; equal ones should compare equal, so that parts of a
    model share an optimizer.
    """

    @abstractmethod
    def factor_at(self, step: int) -> float:
        """The factor, at least 0, in the step after `step` steps."""


@final
@dataclass(frozen=True, kw_only=True)
class CosineSchedule(Schedule):
    """Half a cosine from 1 to `final_factor`, which stays; before it a linear rise if there are warm-up steps.

    final + (1 - final) (1 + cos(pi t)) / 2, t in [0, 1]; warm-up: (step + 1) / warmup_steps

    Loshchilov & Hutter (2017), arXiv 1608.03983, eq. 5, without restarts.

    Args:
        num_steps: optimizer steps until the end of the cosine, those of the warm-up included.
        warmup_steps: steps over which the factor rises.
        final_factor: after `num_steps` steps.

    Raises:
        ValueError: if a number is out of range.
    """

    num_steps: int = 5_000
    warmup_steps: int = 0
    final_factor: float = 0.0

    def __post_init__(self) -> None:
        least = integer("warmup_steps of CosineSchedule", self.warmup_steps, least=0) + 1
        _set(
            self,
            num_steps=integer("num_steps of CosineSchedule", self.num_steps, least=least),
            warmup_steps=least - 1,
            final_factor=number("final_factor of CosineSchedule", self.final_factor, least=0.0),
        )

    def factor_at(self, step: int) -> float:
        """The factor in the step after `step` steps."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        done = min(1.0, (step - self.warmup_steps) / (self.num_steps - self.warmup_steps))
        return self.final_factor + (1.0 - self.final_factor) * (1.0 + math.cos(math.pi * done)) / 2.0


@final
@dataclass(frozen=True, kw_only=True)
class StepSchedule(Schedule):
    """The same factor again after every so many steps: factor^(step // every).

    Args:
        every: optimizer steps between changes.
        factor: of each change.

    Raises:
        ValueError: if a number is out of range.
    """

    every: int = 1_000
    factor: float = 0.5

    def __post_init__(self) -> None:
        _set(
            self,
            every=integer("every of StepSchedule", self.every, least=1),
            factor=number("factor of StepSchedule", self.factor, above=0.0),
        )

    def factor_at(self, step: int) -> float:
        """The factor in the step after `step` steps."""
        return self.factor ** (step // self.every)


@final
@dataclass(frozen=True, kw_only=True)
class StagedSchedule(Schedule):
    """A factor for each stage of a training, one after the other; the last one's stays.

    Args:
        stages: the optimizer steps of each, and its factor.

    Raises:
        TypeError: if it is no list of pairs.
        ValueError: if a number is out of range.
    """

    stages: Sequence[tuple[int, float]] = ((1_000, 1.0), (1_000, 0.1))

    def __post_init__(self) -> None:
        _set(self, stages=_stages(self.stages))

    def factor_at(self, step: int) -> float:
        """The factor in the step after `step` steps."""
        for num_steps, factor in self.stages:
            step -= num_steps
            if step < 0:
                return factor
        return self.stages[-1][1]


@final
class ScheduledRates(LambdaLR):
    """The learning rates of an optimizer's groups: those that they begin with, times the factors of their schedules.

    Its state is the number of steps: LambdaLR would restore the rates of before, whatever the options are now.

    Args:
        optimizer: whose groups have the learning rates that they begin with.
        schedules: one for each group; None where the rate stays.
    """

    def __init__(self, optimizer: Optimizer, schedules: Sequence[Schedule | None]) -> None:
        super().__init__(optimizer, [_always if each is None else each.factor_at for each in schedules])

    def state_dict(self) -> dict[str, Any]:
        """The number of steps."""
        return {"last_epoch": self.last_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Sets the rates of the step that comes next."""
        self.last_epoch = state_dict["last_epoch"]
        for group, rate, factor_at in zip(self.optimizer.param_groups, self.base_lrs, self.lr_lambdas, strict=True):
            group["lr"] = rate * factor_at(self.last_epoch)

    def get_last_lr(self) -> list[Any]:
        """The present rates."""
        return [group["lr"] for group in self.optimizer.param_groups]


def checked_schedule(schedule: Any) -> Schedule | None:
    """A schedule, held to its type and to its first factor.

    Raises:
        TypeError: if it is none.
        ValueError: if its first factor is out of range.
    """
    if schedule is None:
        return None
    if not isinstance(schedule, Schedule):
        raise ArgumentTypeError(f"schedule: expected a Schedule, got {schedule!r:.100}")
    number(f"schedule: factor of the first step of {type(schedule).__name__}", schedule.factor_at(0), least=0.0)
    return schedule


def _always(_: int) -> float:
    return 1.0


def _stages(stages: Any) -> tuple[tuple[int, float], ...]:
    if not isinstance(stages, Sequence) or isinstance(stages, str) or not stages:
        raise ArgumentTypeError(f"stages: expected a list of [steps, factor], got {stages!r}")
    return tuple(map(_stage, stages))


def _stage(stage: Any) -> tuple[int, float]:
    if not isinstance(stage, Sequence) or isinstance(stage, str) or len(stage) != 2:
        raise ArgumentTypeError(f"stages: expected [steps, factor] for each, got {stage!r}")
    return integer("steps of a stage", stage[0], least=1), number("factor of a stage", stage[1], least=0.0)


def _set(schedule: Schedule, **values: Any) -> None:
    for name, value in values.items():
        object.__setattr__(schedule, name, value)
