import re

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from tests.data.loader_cases import KINDS, ROWS, X, ask_everything, loaders
from torch import nn
from torch.utils.data import DataLoader

from reparam_suite.data import Loaders, datum_of


class Model(LightningModule):
    """Keeps the data that it is given."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.seen = []

    def training_step(self, batch):
        self.seen.append(datum_of(batch))
        return self.layer(self.seen[-1].reshape(-1, 1)).mean()

    def validation_step(self, batch):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "workers"])
def test_lightning_trains_on_the_loaders_batches(kind):
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(accelerator="cpu", max_epochs=2, enable_model_summary=False, limit_val_batches=0, **quiet)
    make = KINDS[kind][0]
    with torch.random.fork_rng():
        torch.manual_seed(3)
        loader = make()
        expected = [datum_of(batch) for _ in range(2) for batch in loader]
        torch.manual_seed(3)
        model = Model()
        torch.manual_seed(3)
        data = loaders(make())
        ask_everything(data)
        trainer.fit(model, datamodule=data)
    assert len(model.seen) == len(expected)
    assert all(map(torch.equal, model.seen, expected))


def test_loaders_without_rows_make_no_split():
    data = Loaders(train=[X], valid=DataLoader(X[:0]), test=[])
    assert [split for split in ("train", "valid", "test") if data.has(split)] == ["train"]


@pytest.mark.parametrize("value", [iter([X]), (x for x in X), X, X.numpy(), {"x": X}, None, 3, "x"])
@pytest.mark.parametrize("split", ["train", "valid"])
def test_what_is_no_loader_is_refused_at_construction(split, value):
    expected = f"{split}: expected a DataLoader or another iterable of batches that can be iterated in every epoch, got"
    with pytest.raises(TypeError, match=re.escape(f"{expected} {type(value).__name__}")):
        loaders(**{"train": DataLoader(ROWS), split: value})
