import inspect
import random
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from tests.statistics import LIMIT

from reparam_suite.data import (
    CIFAR10,
    MNIST,
    SVHN,
    Arrays,
    BinarizedMNIST,
    ColourPatches,
    DataModule,
    Digits,
    FashionMNIST,
    ImageFolder,
    Omniglot,
    StreamedArrays,
)

CLASSES = [Digits, MNIST, FashionMNIST, Omniglot, BinarizedMNIST, ColourPatches, CIFAR10, SVHN]
DOWNLOADED = [MNIST, FashionMNIST, Omniglot, BinarizedMNIST]


def loaded(**options) -> Digits:
    digits = Digits(**options)
    digits.setup()
    return digits


def everything(loader) -> torch.Tensor:
    return torch.cat(list(loader))


def test_all_training_rows_in_fixed_order_are_those_of_the_fixed_binarization():
    dynamic, fixed = loaded(), loaded(binarization="fixed")
    rows = everything(dynamic.undivided("train"))
    assert torch.equal(rows, everything(fixed.undivided("train")))
    assert set(rows.unique().tolist()) == {0, 1}


def test_the_seed_is_the_runs_unless_the_data_have_one():
    def first(digits):
        return next(iter(digits.train_dataloader()))

    reference = {seed: first(loaded(seed=seed)) for seed in (0, 5)}
    assert not torch.equal(reference[0], reference[5])
    without, own = Digits(), Digits(seed=5)
    assert without.seed is None
    assert torch.equal(first(without), reference[0])
    without.begin(5)
    own.begin(0)
    assert without.seed is None
    assert (without.seed_in_use, own.seed_in_use) == (5, 5)
    assert torch.equal(first(without), reference[5])
    assert torch.equal(first(own), reference[5])


def test_a_second_run_begins_with_the_first_batch():
    digits = loaded(batch_size=300)
    first = everything(digits.train_dataloader())
    next(iter(digits.train_dataloader()))
    assert digits.state_dict() == {"epoch": 1, "batch": 1}
    digits.begin(0)
    assert digits.state_dict() == {"epoch": 0, "batch": 0}
    assert torch.equal(everything(digits.train_dataloader()), first)


@pytest.mark.parametrize(
    "cls",
    [*CLASSES, Arrays, ImageFolder, StreamedArrays],
    ids=lambda cls: cls.__name__,
)
def test_constructor_arguments_are_documented_keywords_and_kept(cls, tmp_path):
    parameters = inspect.signature(cls).parameters
    assert {parameter.kind for parameter in parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}
    documentation = "".join(inspect.getdoc(base) or "" for base in cls.__mro__ if issubclass(base, DataModule))
    assert all(f"{name}: " in documentation for name in parameters)

    np.savez(tmp_path / "x.npz", x_train=np.zeros((20, 3)))
    np.save(tmp_path / "x.npy", np.zeros((20, 3)))
    given = {
        "event_shape": (4, 16) if cls is Digits else (28, 28),
        "kind": "grey" if cls is ImageFolder else "real",
        "columns": None,
        "size": 8,
        "crop": "none",
        "num_workers": 1,
        "train": tmp_path / "x.npy",
        "valid": None,
        "test": None,
        "batch_size": 7,
        "binarization": "fixed",
        "hold_out": False,
        "seed": 5,
        "root": tmp_path,
        "path": tmp_path / "x.npz",
    }
    options = {name: given[name] for name in parameters}
    assert {name: getattr(cls(**options), name) for name in options} == options


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("batch_size", 0, "batch_size: expected an integer of at least 1, got 0"),
        ("batch_size", 4.0, "batch_size: expected an integer of at least 1, got 4.0"),
        ("batch_size", True, "batch_size: expected an integer of at least 1, got True"),
        ("batch_size", "7", "batch_size: expected an integer of at least 1, got '7'"),
        ("batch_size", float("inf"), "batch_size: expected an integer of at least 1, got inf"),
        ("seed", -1, "seed: expected an integer of at least 0, got -1"),
        ("seed", 0.5, "seed: expected an integer of at least 0, got 0.5"),
        ("binarization", "some", 'binarization: expected "dynamic", "fixed" or "none", got \'some\''),
        ("binarization", None, 'binarization: expected "dynamic", "fixed" or "none", got None'),
        ("event_shape", 64, "event_shape: expected a sequence of integers, got 64"),
        ("event_shape", "64", "event_shape: expected a sequence of integers, got '64'"),
        ("event_shape", (), "event_shape: expected a shape of 64 elements, got ()"),
        ("event_shape", (8.0, 8), "event_shape: expected an integer of at least 1, got 8.0"),
        ("event_shape", (-8, -8), "event_shape: expected an integer of at least 1, got -8"),
    ],
)
def test_an_argument_out_of_range_is_refused(option, value, message):
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        Digits(**{option: value})


def test_numpys_numbers_are_taken():
    digits = Digits(batch_size=np.int64(7), seed=np.uint8(3))
    assert (digits.batch_size, digits.seed) == (7, 3)
    assert type(digits.batch_size) is type(digits.seed) is int


@pytest.mark.parametrize(
    "ask",
    [
        lambda data: data.sample_batch(),
        lambda data: data.train_mean,
        lambda data: next(iter(data.train_dataloader())),
        lambda data: everything(data.undivided("valid")),
        lambda data: torch.tensor(list(data.num_rows.values())),
        lambda data: torch.tensor([int(data.digest, 16) % 1_000, data.has("test")]),
    ],
)
def test_every_question_is_answered_at_once(ask):
    assert torch.equal(ask(Digits()), ask(loaded()))


def test_an_unknown_split_is_refused():
    for ask in (Digits().sample_batch, Digits().undivided, Digits().has):
        with pytest.raises(ValueError, match='split: expected "train", "valid" or "test", got \'val\''):
            ask("val")


def test_dynamic_batches_have_the_intensities_as_their_mean():
    digits = loaded(batch_size=2_000)
    num_epochs = 40
    means = torch.stack([everything(digits.train_dataloader()).mean(0) for _ in range(num_epochs)])
    p = torch.tensor(load_digits().data[np.arange(1797) % 7 < 5] / 16)
    variance = (p * (1 - p)).mean(0) / len(p) / num_epochs
    drawn, certain = variance > 0, variance == 0
    z = (means.double().mean(0) - p.mean(0))[drawn] / variance[drawn].sqrt()
    assert z.abs().max() < LIMIT
    assert certain.any()
    assert torch.allclose(means[:, certain].double(), p.mean(0)[certain], atol=1e-6)


def test_fixed_binarization_is_one_set_for_all_epochs_and_seeds():
    def rows(digits):
        return sorted(everything(digits.train_dataloader()).tolist())

    one, other = loaded(binarization="fixed"), loaded(binarization="fixed", seed=9)
    first = rows(one)
    assert first == rows(one) == rows(other)
    assert first != rows(loaded(seed=9))


def test_no_generator_is_touched():
    def states():
        return torch.get_rng_state().tolist(), repr(np.random.get_state()), random.getstate()  # noqa: NPY002

    before = states()
    digits = loaded()
    for loader in (digits.train_dataloader(), digits.val_dataloader(), digits.test_dataloader()):
        everything(loader)
    digits.sample_batch()
    assert states() == before


def test_the_global_seed_has_no_say():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        one = everything(loaded().train_dataloader())
        torch.manual_seed(2)
        assert torch.equal(everything(loaded().train_dataloader()), one)


@pytest.mark.parametrize("binarization", ["dynamic", "fixed"])
@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_the_sample_batch_is_always_the_same(split, binarization):
    digits = loaded(binarization=binarization, batch_size=20)
    first = digits.sample_batch(split)
    next(iter(digits.train_dataloader()))
    position = digits.state_dict()
    assert torch.equal(digits.sample_batch(split), first)
    assert digits.state_dict() == position == {"epoch": 0, "batch": 1}
    assert torch.equal(loaded(binarization=binarization, batch_size=20, seed=4).sample_batch(split), first)
    assert first.shape == (20, 64)
    assert first.dtype == torch.float32
    assert set(first.unique().tolist()) == {0, 1}


def test_the_sample_batch_is_at_most_the_split():
    assert len(loaded(batch_size=10_000).sample_batch("valid")) == 256


def test_setup_loads_once(monkeypatch):
    digits = loaded()
    loader = digits.train_dataloader()
    monkeypatch.delattr(Digits, "read")
    digits.setup("fit")
    digits.setup("test")
    assert digits.train_dataloader() is loader


@pytest.mark.parametrize("loads_after_setup", [False, True])
def test_the_position_can_be_saved_and_loaded_at_any_time(loads_after_setup):
    stopped = loaded(batch_size=300)  # five batches
    position = stopped.state_dict()
    assert position == {"epoch": 0, "batch": 0}
    everything(stopped.train_dataloader())
    for _ in zip(range(2), stopped.train_dataloader(), strict=False):
        position = stopped.state_dict()
    assert position == {"epoch": 1, "batch": 2}

    resumed = Digits(batch_size=300)
    if loads_after_setup:
        resumed.setup()
        resumed.load_state_dict(position)
    else:
        resumed.load_state_dict(position)
        assert resumed.state_dict() == position
        resumed.setup()
    assert resumed.state_dict() == position
    uninterrupted = loaded(batch_size=300)
    everything(uninterrupted.train_dataloader())
    expected = list(uninterrupted.train_dataloader())[2:]
    assert all(map(torch.equal, list(resumed.train_dataloader()), expected))
    assert resumed.state_dict() == {"epoch": 2, "batch": 0}


def trainer(rank=0, world_size=1, limit_train_batches=1.0):
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    return SimpleNamespace(
        strategy=strategy, global_rank=rank, world_size=world_size, limit_train_batches=limit_train_batches
    )


def test_the_trainer_says_which_rows_are_ours():
    alone = loaded(batch_size=100)
    ranks = []
    for rank in range(2):
        module = Digits(batch_size=100)
        module.trainer = trainer(rank, world_size=2)
        module.setup("fit")
        ranks.append(module)
    for name in ("train_dataloader", "val_dataloader", "test_dataloader"):
        loaders = [getattr(module, name)() for module in (alone, *ranks)]
        for whole, even, odd in zip(*loaders, strict=True):
            assert torch.equal(whole[0::2], even)
            assert torch.equal(whole[1::2], odd)
    assert torch.equal(ranks[0].sample_batch(), ranks[1].sample_batch())


def test_the_position_survives_a_change_of_trainer():
    module = loaded(batch_size=100)
    next(iter(module.train_dataloader()))
    module.trainer = trainer(rank=1, world_size=2)
    module.setup()
    assert module.state_dict() == {"epoch": 0, "batch": 1}


@pytest.mark.parametrize(("limit", "length"), [(3, 3), (50, 13), (0.5, 6), (1.0, 13)])
def test_the_trainer_says_where_an_epoch_ends(limit, length):
    module = Digits(batch_size=100)
    module.trainer = trainer(limit_train_batches=limit)
    module.setup()
    assert len(module.train_dataloader()) == 13
    assert len(list(module.train_dataloader())) == length
