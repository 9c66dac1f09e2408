"""The moving variance along the training path: fed at every eighth step, with the window of a thousand."""

import pytest
import torch
from tests.training.small import discrete, seeded, trainer
from torch import nn

from reparam_suite.data import Digits
from reparam_suite.diagnostics import PathVariance
from reparam_suite.training import Journal, PathRecord
from reparam_suite.training.path import DECAY, STRIDE

NAME = "grad_path/encoder/variance_per_element"


def test_every_eighth_gradient_tells_what_all_of_them_tell():
    torch.manual_seed(0)
    parameter = nn.Parameter(torch.zeros(1_000))
    every_step = PathVariance([parameter], decay=DECAY)
    every_eighth = PathVariance([parameter], decay=DECAY**STRIDE)
    for step in range(6_000):
        # Noise that rises threefold and a mean that drifts.
        parameter.grad = step / 3_000 + (1.0 + step / 3_000) * torch.randn(1_000)
        every_step.update()
        if step % STRIDE == 0:
            every_eighth.update()
    assert float(every_eighth.value()) == pytest.approx(float(every_step.value()), rel=0.015)
    assert float(every_step.value()) != pytest.approx(9.0, rel=0.1), "the window matters"


def run(callback: PathRecord, *, max_steps: int = 40) -> None:
    with seeded():
        trainer(callback, max_steps=max_steps).fit(discrete(), datamodule=Digits(batch_size=300))


def test_it_is_recorded_with_the_variance_once_there_are_two_gradients():
    journal = Journal()
    run(PathRecord(every=10, journal=journal))
    assert [step for step, _ in journal.curves[NAME]] == [10, 20, 30, 40]
    assert all(value > 0.0 for _, value in journal.curves[NAME])


def test_it_is_the_moving_variance_of_the_encoder_gradients_that_the_optimizer_steps_on():
    journal, by_hand = Journal(), []

    class Watch(PathRecord.__base__):
        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            if trainer.global_step % STRIDE == 0:
                by_hand.append(torch.cat([parameter.grad.flatten() for parameter in pl_module.posterior.parameters()]))

    with seeded():
        used = trainer(Watch(), PathRecord(every=100, journal=journal), max_steps=33)
        used.fit(discrete(), datamodule=Digits(batch_size=300))
    gradients = torch.stack(by_hand)
    assert len(gradients) == 5
    weights = (DECAY**STRIDE) ** torch.arange(4, -1, -1.0)
    weights = (weights / weights.sum()).unsqueeze(-1)
    expected = ((weights * gradients.square()).sum(0) - (weights * gradients).sum(0).square()).mean()
    assert journal.latest(NAME) == pytest.approx(float(expected), rel=1e-3)


def test_it_continues_from_a_checkpoint():
    whole, second = Journal(), Journal()
    run(PathRecord(every=100, journal=whole))
    torch.manual_seed(0)
    saved = PathRecord(every=100, journal=Journal())
    run(saved, max_steps=17)
    resumed = PathRecord(every=100, journal=second)
    resumed.load_state_dict(saved.state_dict())
    run(resumed, max_steps=17)
    # The gradients of steps 0, 8 and 16 once more after themselves: six of them, where a fresh start has three.
    assert resumed.state_dict()["num_steps"] == 6
    assert saved.state_dict()["num_steps"] == 3
