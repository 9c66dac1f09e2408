import copy

import pytest
import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

from reparam_suite.data import DataError, Digits, adapted

X = torch.randn(60, 1, 4, 2, generator=torch.Generator().manual_seed(3))
ROWS = TensorDataset(X, torch.arange(60))


class Labelled(LightningDataModule):
    """Batches (image, label), no test set, no hooks."""

    def train_dataloader(self):
        return DataLoader(ROWS, batch_size=16, shuffle=True)

    def val_dataloader(self):
        return DataLoader(ROWS, batch_size=25)


class Whole(LightningDataModule):
    """All hooks, each written down; splits drawn in `setup`."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def prepare_data(self):
        self.calls.append("prepare_data")

    def setup(self, stage):
        self.calls.append(f"setup {getattr(stage, 'value', stage)}")
        self.parts = random_split(ROWS, [30, 20, 10])

    def teardown(self, stage):
        self.calls.append(f"teardown {stage.value}")

    def train_dataloader(self):
        return DataLoader(self.parts[0], batch_size=16, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.parts[1], batch_size=25)

    def test_dataloader(self):
        return DataLoader(self.parts[2], batch_size=25)

    def on_before_batch_transfer(self, batch, dataloader_idx):
        return [batch[0] * 2, batch[1]]

    def on_after_batch_transfer(self, batch, dataloader_idx):
        return [batch[0] + 1 + 0 * torch.rand(()), batch[1]]

    def state_dict(self):
        return {"seen": 7}

    def load_state_dict(self, state_dict):
        self.calls.append(f"load {state_dict['seen']}")


class Model(LightningModule):
    """Keeps the batches that it is given."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.seen = {"train": [], "valid": [], "test": []}

    def training_step(self, batch):
        self.seen["train"].append(batch)
        return self.layer(batch[0].reshape(-1, 1)).mean()

    def validation_step(self, batch):
        self.seen["valid"].append(batch)

    def test_step(self, batch):
        self.seen["test"].append(batch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


class TrainedOnly(Model):
    validation_step = LightningModule.validation_step


def trainer(**options):
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return Trainer(accelerator="cpu", max_epochs=2, enable_model_summary=False, **quiet, **options)


def train(data, model_class=Model, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, used = model_class(), trainer(**options)
        used.fit(model, datamodule=data)
    return model, used


def same(left, right):
    return len(left) == len(right) and all(
        torch.equal(a, b) for one, other in zip(left, right, strict=True) for a, b in zip(one, other, strict=True)
    )


def test_the_suites_own_data_are_taken_as_they_are():
    digits = Digits()
    assert adapted(digits) is digits


@pytest.mark.parametrize("value", [X, X.numpy(), DataLoader(ROWS), None, "Digits", Digits])
def test_anything_else_is_refused_with_the_way_to_bring_it(value):
    with pytest.raises(
        TypeError, match=r"data: expected a data set of the suite or a LightningDataModule, got .*Arrays"
    ):
        adapted(value)


def test_a_plain_module_answers():
    data = adapted(Labelled())
    assert data.name == "Labelled"
    assert data.source.endswith("test_adapter.Labelled")
    assert data.event_shape == (1, 4, 2)
    assert data.kind == "real"
    assert adapted(Labelled(), kind="real").kind == "real"
    assert data.num_rows == {"train": 60, "valid": 60}
    assert torch.allclose(data.train_mean, X.mean(0), atol=1e-6)
    assert data.digest is None
    assert data.resumes == "epoch"
    assert not data.has("test")
    assert data.batches_are_on_device
    x, labels = data.sample_batch()
    assert torch.equal(x, X[labels])
    assert len(x) == 16
    with pytest.raises(DataError, match="Labelled: expected one of its splits train, valid, got test"):
        data.sample_batch("test")


@pytest.mark.parametrize("make", [Labelled, Whole])
def test_lightning_trains_on_it_as_on_the_module_itself(make):
    own, adapter = make(), adapted(make())
    if make is Whole:  # its splits are drawn in setup: the adapter's do not depend on the seed
        adapter.setup("fit")
        own.setup = lambda stage: setattr(own, "parts", adapter.module.parts)
    plain, _ = train(own)
    model, used = train(adapter)
    assert same(model.seen["train"], plain.seen["train"])
    assert same(model.seen["valid"], plain.seen["valid"])
    assert torch.equal(model.layer.weight, plain.layer.weight)
    assert adapter.module.trainer is used


def test_only_hooks_that_the_module_has_are_seen_by_lightning():
    plain, whole = adapted(Labelled()), adapted(Whole())
    for hook in ("test_dataloader", "prepare_data", "on_before_batch_transfer", "transfer_batch_to_device"):
        assert not is_overridden(hook, plain)
    for hook in ("test_dataloader", "prepare_data", "on_before_batch_transfer", "on_after_batch_transfer"):
        assert is_overridden(hook, whole)
    assert not whole.batches_are_on_device


def test_hooks_are_called_and_each_stage_is_set_up_once():
    data = adapted(Whole())
    model, used = train(data, num_sanity_val_steps=0)
    used.test(model, datamodule=data, verbose=False)
    assert data.module.calls == [
        "prepare_data",
        "setup fit",
        "teardown fit",
        "prepare_data",
        "setup test",
        "teardown test",
    ]
    assert data.state_dict() == {"seen": 7}
    data.load_state_dict({"seen": 9})
    assert data.module.calls[-1] == "load 9"


def test_asking_sets_up_once_and_the_trainer_does_not_again():
    data = adapted(Whole())
    assert data.has("test")
    assert data.num_rows == {"train": 30, "valid": 20, "test": 10}
    assert data.event_shape == (1, 4, 2)
    data.setup()
    assert data.module.calls == ["prepare_data", "setup test", "setup fit"]


def test_random_splits_are_the_same_whatever_the_seed_and_touch_no_generator():
    parts = []
    for seed in (1, 2):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            before = torch.get_rng_state()
            data = adapted(Whole())
            data.setup()
            data.sample_batch()
            assert torch.equal(torch.get_rng_state(), before)
            parts.append([part.indices for part in data.module.parts])
    assert parts[0] == parts[1]


def test_what_is_read_is_what_a_model_is_given():
    data = adapted(Whole())
    x, labels = data.sample_batch("valid")
    assert torch.allclose(x, X[labels] * 2 + 1)
    model, used = train(data)
    used.test(model, datamodule=data, verbose=False)
    assert same(model.seen["test"], list(data.undivided("test")))
    assert torch.equal(data.sample_batch("valid")[0], x)


def test_several_loaders_of_a_split_are_refused():
    class Several(Labelled):
        def val_dataloader(self):
            return [DataLoader(ROWS), DataLoader(ROWS)]

    with pytest.raises(DataError, match="Several: val_dataloader: expected one loader, got 2"):
        adapted(Several()).sample_batch("valid")


def test_a_module_made_from_datasets_is_taken():
    data = adapted(LightningDataModule.from_datasets(ROWS, ROWS, batch_size=12))
    assert data.num_rows == {"train": 60, "valid": 60}
    assert not data.has("test")
    assert len(data.sample_batch()[0]) == 12


def test_a_module_whose_validation_is_none_is_one_without():
    class NoValidation(Labelled):
        def val_dataloader(self):
            return None

    data = adapted(NoValidation())
    assert not data.has("valid")
    assert data.val_dataloader() == []


def test_a_module_without_validation_says_so():
    class Bare(LightningDataModule):
        def train_dataloader(self):
            return DataLoader(ROWS, batch_size=16)

        def test_dataloader(self):
            return None

    data = adapted(Bare())
    assert [data.has(split) for split in ("train", "valid", "test")] == [True, False, False]
    assert len(train(data, TrainedOnly)[0].seen["train"]) == 8


def test_a_copy_is_independent():
    data = adapted(Whole())
    copied = copy.deepcopy(data)
    copied.prepare_data()
    assert data.module.calls == []
    assert copied.module.calls == ["prepare_data"]
