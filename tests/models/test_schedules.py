"""Schedules of the learning rate against torch's own, and the rates that they give an optimizer."""

import math

import pytest
import torch
from tests.models.small import discrete, gaussian
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, MultiStepLR, SequentialLR, StepLR

from reparam_suite.models import CosineSchedule, OptimizerSettings, Schedule, StagedSchedule, StepSchedule

RATE, NUM_STEPS = 0.3, 12


def optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=RATE)


def rates_along(scheduler) -> list[float]:
    """The learning rate of each step, as a scheduler that is stepped gives it."""
    rates = []
    for _ in range(NUM_STEPS):
        rates.append(scheduler.optimizer.param_groups[0]["lr"])
        scheduler.optimizer.step()
        scheduler.step()
    return rates


def warmed_up(stepped):
    rise, fall = LinearLR(stepped, start_factor=1 / 3, total_iters=2), CosineAnnealingLR(stepped, T_max=9)
    return SequentialLR(stepped, [rise, fall], milestones=[3])


TORCH = {
    "cosine": (CosineSchedule(num_steps=12), lambda made: CosineAnnealingLR(made, T_max=12)),
    "to a tenth": (
        CosineSchedule(num_steps=12, final_factor=0.1),
        lambda made: CosineAnnealingLR(made, T_max=12, eta_min=RATE / 10),
    ),
    "warm-up": (CosineSchedule(num_steps=12, warmup_steps=3), warmed_up),
    "step": (StepSchedule(every=4, factor=0.5), lambda made: StepLR(made, step_size=4, gamma=0.5)),
    "exponential": (StepSchedule(every=1, factor=0.9), lambda made: StepLR(made, step_size=1, gamma=0.9)),
    "stages": (
        StagedSchedule(stages=[(1, 1.0), (3, 10 ** (-1 / 7)), (1, 10 ** (-2 / 7))]),
        lambda made: MultiStepLR(made, milestones=[1, 4], gamma=10 ** (-1 / 7)),
    ),
}


@pytest.mark.parametrize("name", TORCH)
def test_a_schedule_gives_the_rates_of_torchs_scheduler(name):
    schedule, reference = TORCH[name]
    made = optimizer()
    assert [RATE * schedule.factor_at(step) for step in range(NUM_STEPS)] == pytest.approx(rates_along(reference(made)))


def test_a_cosine_ends_where_it_ends():
    schedule = CosineSchedule(num_steps=12, warmup_steps=3, final_factor=0.1)
    assert [schedule.factor_at(step) for step in (12, 13, 10**9)] == pytest.approx([0.1] * 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: CosineSchedule(num_steps=3, warmup_steps=3),
            "num_steps of CosineSchedule: expected an integer of at least 4, got 3",
        ),
        (
            lambda: CosineSchedule(final_factor=-0.1),
            "final_factor of CosineSchedule: expected a finite number of at least 0, got -0.1",
        ),
        (lambda: StepSchedule(every=0), "every of StepSchedule: expected an integer of at least 1, got 0"),
        (lambda: StepSchedule(factor=math.nan), "factor of StepSchedule: expected a finite number above 0, got nan"),
        (lambda: StagedSchedule(stages=[]), r"stages: expected a list of \[steps, factor\], got \[\]"),
        (lambda: StagedSchedule(stages=[3, 0.1]), r"stages: expected \[steps, factor\] for each, got 3"),
        (lambda: StagedSchedule(stages=[(0, 0.1)]), "steps of a stage: expected an integer of at least 1, got 0"),
        (lambda: OptimizerSettings(schedule=0.5), "schedule: expected a Schedule, got 0.5"),
        (
            lambda: OptimizerSettings(schedule=Sinking()),
            "factor of the first step of Sinking: expected .* of at least 0",
        ),
    ],
)
def test_what_is_no_schedule_is_refused(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


class Sinking(Schedule):
    """Below nothing from the start."""

    def factor_at(self, step):
        return -1.0 - step


def test_each_part_has_the_rates_of_its_own_schedule():
    halved = StepSchedule(every=1, factor=0.5)
    model = discrete(
        prior="learned",
        learning_rate=0.01,
        optimizer={
            "encoder": OptimizerSettings(schedule=halved),
            "decoder": OptimizerSettings(schedule=StepSchedule(every=1, factor=0.5)),
            "prior": OptimizerSettings(name="SGD", learning_rate=0.5, schedule=StepSchedule(every=2, factor=0.1)),
        },
    )
    made = model.configure_optimizers()
    optimizer, rates = made["optimizer"], made["lr_scheduler"]["scheduler"]
    assert list(optimizer.parts) == ["encoder, decoder", "prior"], "equal schedules share an optimizer"
    optimizer.step()
    found = []
    for _ in range(3):
        found.append([part.param_groups[0]["lr"] for part in optimizer.parts.values()])
        rates.step()
    assert found == [pytest.approx(pair) for pair in ([0.01, 0.5], [0.005, 0.5], [0.0025, 0.05])]


def test_the_state_of_rates_is_the_step_and_options_are_those_of_now():
    def made(learning_rate: float, factor: float):
        schedule = StepSchedule(every=2, factor=factor)
        model = gaussian(optimizer=OptimizerSettings(learning_rate=learning_rate, schedule=schedule))
        found = model.configure_optimizers()
        return found["optimizer"], found["lr_scheduler"]["scheduler"]

    optimizer, rates = made(0.1, 0.5)
    optimizer.step()
    for _ in range(5):
        rates.step()
    state = rates.state_dict()
    assert state == {"last_epoch": 5}
    for rate, factor in ((0.1, 0.5), (0.2, 0.25)):
        again, other = made(rate, factor)
        again.load_state_dict(optimizer.state_dict())
        other.load_state_dict(state)
        assert other.get_last_lr() == [rate * factor**2]
        again.step()
        other.step()
        assert again.param_groups[0]["lr"] == rate * factor**3


def test_a_schedule_of_a_part_may_come_from_a_file():
    described = {"class_path": "reparam_suite.models.StepSchedule", "init_args": {"every": 3}}
    model = gaussian(optimizer={"encoder": {"schedule": described}})
    assert model.optimizer == {"encoder": OptimizerSettings(schedule=StepSchedule(every=3))}
