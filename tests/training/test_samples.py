"""Samples along training: at which steps, of which images, and nothing of the training moves."""

import pytest
import torch
from tests.models.small import bits, gaussian, trainer

from reparam_suite.data import Arrays
from reparam_suite.training import Checkpoints, Journal, SampleRecord, StepRecord, Validation


def fitted(*, max_steps: int, shown: list | None = None, shape=(3, 4)):
    journal = Journal()
    record = StepRecord(every=50, journal=journal, checkpoints=(checkpoints := Checkpoints(monitor=None)))
    validation = Validation(journal=journal, record=record, checkpoints=checkpoints)
    keep = [] if shown is None else [SampleRecord(journal=journal, record=record, show=_into(shown), image_shape=shape)]
    torch.manual_seed(3)
    model, x = gaussian(event_shape=(12,)), bits(30, 12)
    data = Arrays.of(train=x, valid=x[:9], batch_size=10)
    train = trainer(record, validation, *keep, max_steps=max_steps, val_check_interval=1, check_val_every_n_epoch=None)
    train.fit(model, datamodule=data)
    return model, journal, x


def _into(shown: list):
    return lambda images, step: shown.append((step, images))


@pytest.fixture(autouse=True)
def _generators_as_they_were():
    with torch.random.fork_rng():
        yield


def test_steps_double_and_the_last_one_is_shown():
    shown = []
    model, journal, x = fitted(max_steps=11, shown=shown)
    assert [step for step, _ in shown] == [0, 1, 2, 4, 8, 11]
    last = shown[-1][1]
    assert {name: tuple(images.shape) for name, images in last.items()} == {
        "samples": (8, 3, 4),
        "data": (8, 3, 4),
        "reconstructions": (8, 3, 4),
    }
    spread = x[[0, 1, 2, 3, 4, 5, 6, 7]]  # of nine
    assert torch.equal(last["data"].flatten(1), spread)
    torch.testing.assert_close(last["reconstructions"].flatten(1), model.eval().reconstruct(spread))
    kept = journal.arrays["samples/step_11"]["samples"]
    assert kept.dtype == torch.uint8
    torch.testing.assert_close(kept / 255, last["samples"], rtol=0, atol=0.5 / 255 + 1e-6)
    assert not torch.equal(shown[0][1]["samples"], last["samples"])


def test_training_is_bitwise_the_same_without():
    shown = []
    models = [fitted(max_steps=3, shown=images)[0] for images in (shown, None)]
    assert len(shown) == 4
    for ours, theirs in zip(*(model.parameters() for model in models), strict=True):
        assert torch.equal(ours, theirs)


def test_a_single_channel_is_left_out():
    shown = []
    fitted(max_steps=1, shown=shown, shape=(1, 3, 4))
    assert shown[0][1]["samples"].shape == (8, 3, 4)
