import hashlib
import inspect
import random
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from tests.statistics import LIMIT

from reparam_suite import data
from reparam_suite.data import MNIST, ArrayDataModule, Arrays, BinarizedMNIST, Digits, FashionMNIST, Omniglot

DOWNLOADED = [MNIST, FashionMNIST, Omniglot, BinarizedMNIST]


def loaded(**options) -> Digits:
    digits = Digits(**options)
    digits.setup()
    return digits


def everything(loader) -> torch.Tensor:
    return torch.cat(list(loader))


def test_public_names():
    assert issubclass(data.DataError, ValueError)
    assert inspect.isabstract(ArrayDataModule)
    assert {name for name in data.__all__ if isinstance(getattr(data, name), type)} == set(data.__all__)


def test_importing_data_imports_no_heavy_library_of_ours():
    # Lightning itself brings Pillow and matplotlib where they are installed.
    code = """
import sys
import lightning.pytorch
before = set(sys.modules)
import reparam_suite.data
heavy = {"sklearn", "pooch", "PIL", "matplotlib", "requests"}
sys.exit(", ".join(heavy & (set(sys.modules) - before)) or 0)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("cls", [Digits, *DOWNLOADED], ids=lambda cls: cls.__name__)
def test_what_is_known_before_the_data_is_loaded(cls):
    module = cls()
    assert module.name == cls.__name__
    height, width = module.image_shape
    assert module.num_features == height * width == (64 if cls is Digits else 784)
    assert module.observation == "binary"


@pytest.mark.parametrize("cls", [Digits, *DOWNLOADED, Arrays], ids=lambda cls: cls.__name__)
def test_constructor_arguments_are_documented_keywords_and_kept(cls, tmp_path):
    parameters = inspect.signature(cls).parameters
    assert {parameter.kind for parameter in parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}
    documentation = "".join(inspect.getdoc(base) or "" for base in cls.__mro__ if issubclass(base, ArrayDataModule))
    assert all(f"{name}: " in documentation for name in parameters)

    np.savez(tmp_path / "x.npz", x_train=np.zeros((20, 3)))
    given = {"batch_size": 7, "binarization": "fixed", "seed": 5, "root": tmp_path, "path": tmp_path / "x.npz"}
    options = {name: given[name] for name in parameters}
    assert {name: getattr(cls(**options), name) for name in options} == options


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("batch_size", 0, "batch_size is 0; accepted is 1 or more"),
        ("seed", -1, "seed is -1; accepted is 0 or more"),
        ("binarization", "none", 'binarization is \'none\'; accepted is "dynamic" or "fixed"'),
    ],
)
def test_an_argument_out_of_range_is_refused(option, value, message):
    with pytest.raises(ValueError, match=message):
        Digits(**{option: value})


def test_use_before_setup_is_refused():
    for use in (Digits().train_dataloader, Digits().val_dataloader, Digits().sample_batch):
        with pytest.raises(RuntimeError, match=r"Digits is not loaded: call setup\(\) first"):
            use()


def test_an_unknown_split_is_refused():
    with pytest.raises(ValueError, match="split is 'dev'; accepted is"):
        loaded().sample_batch("dev")


def test_digits_are_split_completely():
    splits = Digits()._read()
    source = load_digits().data
    assert [len(x) for x in (splits.train, splits.valid, splits.test)] == [1285, 256, 256]
    # Rows in their old places: nothing lost, nothing twice, even where two images are alike.
    whole = np.empty_like(source)
    place = np.arange(len(source)) % 7
    whole[place < 5], whole[place == 5], whole[place == 6] = splits.train, splits.valid, splits.test
    assert np.array_equal(whole, source)


def test_what_is_known_after_setup():
    digits = loaded()
    source = load_digits().data[np.arange(1797) % 7 < 5] / 16
    assert digits.sizes == {"train": 1285, "valid": 256, "test": 256}
    assert torch.allclose(digits.train_mean, torch.tensor(source.mean(0), dtype=torch.float32), atol=1e-6)
    assert digits.source == "scikit-learn"
    assert digits.digest == "b63d8c42587d5f3c"
    assert digits.digest == loaded(seed=3, binarization="fixed").digest


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


@pytest.mark.parametrize("split", ["val", "test"])
def test_evaluation_sets_are_the_same_in_every_run(split):
    def rows(**options):
        return everything(getattr(loaded(**options), f"{split}_dataloader")())

    reference = rows()
    assert set(reference.unique().tolist()) == {0, 1}
    for options in ({"seed": 8}, {"binarization": "fixed"}, {"batch_size": 3}):
        assert torch.equal(rows(**options), reference)
    # Figures of earlier runs compare only as long as this stays as it is.
    content = hashlib.sha256(reference.to(torch.uint8).numpy().tobytes()).hexdigest()[:16]
    assert content == {"val": "bd58480f0001d0cb", "test": "008de0be825ffb4a"}[split]


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
    monkeypatch.delattr(Digits, "_read")
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


@pytest.mark.parametrize("cls", DOWNLOADED, ids=lambda cls: cls.__name__)
def test_a_file_that_is_not_there_is_named(cls, tmp_path):
    with pytest.raises(data.DataError, match=f"{cls.archive.file} does not exist"):
        cls(root=tmp_path).setup()
