"""Temperatures of relaxations: a number, or a schedule that moves with the training step."""

import math
from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor, nn

from reparam_suite.runtime.checks import integer, number


class TemperatureSchedule(nn.Module, ABC):
    """A temperature that moves one step with each forward in training mode, and stands still in eval mode."""

    step: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    @abstractmethod
    def at(self, step: Tensor) -> Tensor:
        """The temperature `[]`, above 0, after so many steps `[]`."""

    def forward(self) -> Tensor:
        """The temperature of this step, `[]`."""
        temperature = self.at(self.step)
        if self.training:
            # Not in place: a compiled backward pass would compute this temperature again, from the next step.
            self.step = self.step + 1
        return temperature


class _Decay(TemperatureSchedule):
    # From `start` at step 0 to `end` at step `num_steps`, and no further.
    def __init__(self, *, start: float = 1.0, end: float = 0.1, num_steps: int = 100_000) -> None:
        super().__init__()
        self.start = number(f"start of {type(self).__name__}", start, above=0.0)
        self.end = number(f"end of {type(self).__name__}", end, above=0.0, most=self.start)
        self.num_steps = integer(f"num_steps of {type(self).__name__}", num_steps, least=1)

    def progress(self, step: Tensor) -> Tensor:
        """The share of the way that is done, in [0, 1]."""
        return (step / self.num_steps).clamp(max=1.0)


@final
class ExponentialDecay(_Decay):
    """From one temperature to another by the same factor each step: start (end / start)^(step / num_steps).

    Args:
        start: the temperature of the first step.
        end: the temperature after `num_steps` steps, kept from there on.
        num_steps: training steps from `start` to `end`.

    Raises:
        ValueError: unless 0 < `end` <= `start`, finite, and `num_steps` is at least 1.
    """

    def at(self, step: Tensor) -> Tensor:
        """The temperature `[]` after so many steps."""
        return self.start * (self.progress(step) * math.log(self.end / self.start)).exp()


@final
class LinearDecay(_Decay):
    """From one temperature to another by the same amount each step.

    Args:
        start: the temperature of the first step.
        end: the temperature after `num_steps` steps, kept from there on.
        num_steps: training steps from `start` to `end`.

    Raises:
        ValueError: unless 0 < `end` <= `start`, finite, and `num_steps` is at least 1.
    """

    def at(self, step: Tensor) -> Tensor:
        """The temperature `[]` after so many steps."""
        return self.start + (self.end - self.start) * self.progress(step)


Temperature = float | TemperatureSchedule
"""Above 0; fixed, or on a schedule."""


def checked_temperature(owner: nn.Module, option: str, temperature: Temperature) -> Temperature:
    """The same temperature, if it is one.

    Raises:
        ValueError: if it is not positive and finite, naming the class of `owner` and the option.
    """
    if isinstance(temperature, TemperatureSchedule):
        return temperature
    return number(f"{option} of {type(owner).__name__}", temperature, above=0.0)


def current(temperature: Temperature) -> float | Tensor:
    """The temperature of this step; a schedule in training mode moves on."""
    return temperature() if isinstance(temperature, TemperatureSchedule) else temperature
