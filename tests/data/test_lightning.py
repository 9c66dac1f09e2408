"""A training run under Lightning sees each batch once, in the same order, wherever it was stopped."""

import hashlib

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from reparam_suite.data import Digits

NUM_EPOCHS = 3
BATCH_SIZE = 300  # 5 batches an epoch, the last of 85 rows


class Witness(LightningModule):
    """Keeps a hash of each batch it is given; its one weight depends on all of them."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 1)
        self.seen: list[tuple[int, str]] = []
        self.validated: list[str] = []

    def training_step(self, x):
        self.seen.append((self.trainer.current_epoch, hashlib.sha256(x.numpy().tobytes()).hexdigest()))
        return self.layer(x).square().mean()

    def validation_step(self, x):
        self.validated.append(hashlib.sha256(x.numpy().tobytes()).hexdigest())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


class SaveAt(Callback):
    """Writes a checkpoint at the `nth` call of one hook."""

    def __init__(self, hook: str, nth: int, path):
        self.hook, self.nth, self.path, self.calls = hook, nth, path, 0

    def save(self, trainer):
        self.calls += 1
        if self.calls == self.nth:
            trainer.save_checkpoint(self.path)

    def on_train_batch_end(self, trainer, *arguments):
        if self.hook == "train_batch_end":
            self.save(trainer)

    def on_train_epoch_end(self, trainer, *arguments):
        if self.hook == "train_epoch_end":
            self.save(trainer)

    def on_validation_end(self, trainer, *arguments):
        if self.hook == "validation_end" and not trainer.sanity_checking:
            self.save(trainer)


def train(*callbacks, ckpt_path=None, max_epochs=NUM_EPOCHS, **options) -> Witness:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Witness()
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        max_epochs=max_epochs,
        callbacks=list(callbacks),
        **options,
    )
    trainer.fit(model, datamodule=Digits(batch_size=BATCH_SIZE, seed=2), ckpt_path=ckpt_path)
    return model


@pytest.fixture(scope="module", params=[1.0, 3], ids=["whole epochs", "epochs of 3"])
def limit(request):
    return request.param


@pytest.fixture(scope="module")
def uninterrupted(limit):
    return train(limit_train_batches=limit)


def test_each_epoch_is_the_bare_loops(limit, uninterrupted):
    digits = Digits(batch_size=BATCH_SIZE, seed=2)
    digits.setup()
    length = 5 if limit == 1.0 else limit
    expected = []
    for epoch in range(NUM_EPOCHS):
        digits.load_state_dict({"epoch": epoch, "batch": 0})
        batches = list(digits.train_dataloader())[:length]
        expected += [(epoch, hashlib.sha256(x.numpy().tobytes()).hexdigest()) for x in batches]
    assert uninterrupted.seen == expected


@pytest.mark.parametrize(
    ("hook", "nth"),
    [("train_batch_end", n) for n in range(1, 10)]
    + [("train_epoch_end", n) for n in (1, 2)]
    + [("validation_end", n) for n in (1, 2)],
)
def test_a_resumed_run_sees_exactly_the_rest(limit, uninterrupted, tmp_path, hook, nth):
    path = tmp_path / "checkpoint"
    stopped = train(SaveAt(hook, nth, path), limit_train_batches=limit)
    assert stopped.seen == uninterrupted.seen, "saving must not change the order"

    resumed = train(ckpt_path=path, limit_train_batches=limit)
    length = 5 if limit == 1.0 else limit
    taken = nth if hook == "train_batch_end" else nth * length
    assert [batch for _, batch in resumed.seen] == [batch for _, batch in uninterrupted.seen[taken:]]
    assert torch.equal(resumed.layer.weight, uninterrupted.layer.weight)


def test_more_epochs_continue_the_sequence(tmp_path):
    whole = train(max_epochs=4)
    path = tmp_path / "checkpoint"
    train(SaveAt("train_epoch_end", 2, path), max_epochs=2)
    more = train(ckpt_path=path, max_epochs=4)
    assert [batch for _, batch in more.seen] == [batch for _, batch in whole.seen[10:]]
    assert torch.equal(more.layer.weight, whole.layer.weight)


def test_a_run_stopped_by_its_steps_continues_in_mid_epoch(tmp_path):
    path = tmp_path / "checkpoint"
    train(SaveAt("train_batch_end", 7, path), max_steps=7)
    whole = train()
    more = train(ckpt_path=path)
    assert [batch for _, batch in more.seen] == [batch for _, batch in whole.seen[7:]]
