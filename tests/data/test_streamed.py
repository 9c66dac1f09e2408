"""Streamed rows: the batches of data in memory, whatever the number of workers, wherever they are resumed."""

import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.data.test_lightning import Witness

from reparam_suite.data import Arrays, DataError, StreamedArrays
from reparam_suite.data.positioned import Place
from reparam_suite.data.rows import NpyRows, Rows, tenths

SIZE = 83


@pytest.fixture
def files(tmp_path) -> dict[str, Path]:
    rng = np.random.default_rng(2)
    arrays = {"train": SIZE, "valid": 9, "test": 7}
    found = {}
    for split, number in arrays.items():
        found[split] = tmp_path / f"{split}.npy"
        np.save(found[split], rng.integers(0, 256, (number, 3, 2, 2), dtype=np.uint8))
    return found


def in_memory(files: dict[str, Path], **options):
    return Arrays.of(**{split: np.load(path) for split, path in files.items()}, **options)


@pytest.mark.parametrize("num_workers", [0, 1, 3])
def test_batches_are_those_of_arrays_in_memory(files, num_workers):
    data = StreamedArrays(**files, batch_size=10, seed=4, num_workers=num_workers)
    memory = in_memory(files, batch_size=10, seed=4)
    for _ in range(2):  # epochs
        pairs = zip(data.train_dataloader(), memory.train_dataloader(), strict=True)
        assert all(torch.equal(ours, theirs) for ours, theirs in pairs)
    for split in files:
        assert torch.equal(torch.cat(list(data.undivided(split))), torch.cat(list(memory.undivided(split))))
        assert torch.equal(data.sample_batch(split), memory.sample_batch(split))
    assert (data.kind, data.event_shape, data.num_rows) == (memory.kind, memory.event_shape, memory.num_rows)
    assert data.levels == 255
    assert torch.allclose(data.train_mean, memory.train_mean)
    assert data.resumes == "bitwise"


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_saved_position_goes_on_with_the_batches_that_remain(files, num_workers):
    whole = StreamedArrays(**files, batch_size=10, seed=4, num_workers=num_workers)
    expected = [*whole.train_dataloader(), *whole.train_dataloader()]
    stopped = StreamedArrays(**files, batch_size=10, seed=4, num_workers=num_workers)
    batches = iter(stopped.train_dataloader())
    seen = [next(batches) for _ in range(4)]  # others are read already
    resumed = StreamedArrays(**files, batch_size=10, seed=4, num_workers=2 - num_workers)
    resumed.load_state_dict(stopped.state_dict())
    seen += [*resumed.train_dataloader(), *resumed.train_dataloader()]
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(seen, expected, strict=True))


def test_processes_share_the_rows_of_every_batch(files):
    whole = StreamedArrays(**files, batch_size=11, num_workers=1)
    shares = [whole.train_batches(Place(torch.device("cpu"), rank, 2)) for rank in range(2)]
    for rows, first, second in zip(whole.train_dataloader(), *shares, strict=True):
        assert torch.equal(rows[0::2], first)
        assert torch.equal(rows[1::2], second)
    held_out = [whole.evaluation_batches("valid", Place(torch.device("cpu"), rank, 2)) for rank in range(2)]
    assert sorted(len(rows) for share in held_out for rows in share) == [4, 5]


def test_lightning_trains_on_them(files):
    class Line(Witness):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(12, 1)

        def training_step(self, x):
            return super().training_step(x.flatten(1))

    from lightning.pytorch import Trainer

    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    seen = []
    for data in (StreamedArrays(**files, batch_size=30), in_memory(files, batch_size=30)):
        trainer = Trainer(accelerator="cpu", max_epochs=2, enable_model_summary=False, num_sanity_val_steps=0, **quiet)
        model = Line()
        trainer.fit(model, datamodule=data)
        seen.append((model.seen, model.validated))
    assert seen[0] == seen[1]
    assert len(seen[0][0]) == 6


def test_held_out_rows_are_taken_where_they_are_not_given(files):
    data = StreamedArrays(train=files["train"], batch_size=100)
    assert data.num_rows == {"train": 67, "valid": 8, "test": 8}
    rows = np.load(files["train"])
    (valid,), (test,) = data.undivided("valid"), data.undivided("test")
    assert np.array_equal(np.rint(valid.numpy() * 255), rows[8::10])
    assert np.array_equal(np.rint(test.numpy() * 255), rows[9::10])
    assert {split: len(some) for split, some in tenths(20, valid=False, test=True).items()} == {"train": 18, "test": 2}


@pytest.mark.parametrize(
    ("dtype", "kind"), [("float64", "real"), (">f4", "real"), ("int32", "count"), ("bool", "binary")]
)
def test_other_types_are_float32(tmp_path, dtype, kind):
    rows = (np.arange(60).reshape(20, 3) % (2 if dtype == "bool" else 7)).astype(dtype)
    np.save(tmp_path / "x.npy", rows)
    data = StreamedArrays(train=tmp_path / "x.npy", batch_size=30)
    (x,) = data.train_dataloader()
    assert (data.kind, x.dtype) == (kind, torch.float32)
    assert sorted(x.tolist()) == sorted(np.delete(rows, [8, 9, 18, 19], 0).astype(np.float32).tolist())


def test_a_file_that_is_much_larger_than_what_is_read_of_it_takes_no_memory(tmp_path):
    """2 GiB on paper, all of it holes: rows are read and not mapped."""
    path = tmp_path / "large.npy"
    np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(2**19, 4096)).flush()
    data = StreamedArrays(train=path, kind="grey", batch_size=256)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    batches = iter(data.train_dataloader())
    assert sum(len(next(batches)) for _ in range(200)) == 200 * 256  # 200 MiB, and as floats 800
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024


def saved(path: Path, array: np.ndarray, cut: int = 0) -> Path:
    np.save(path, array)
    path.write_bytes(path.read_bytes()[: path.stat().st_size - cut])
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: {"train": path / "none.npy"}, "none.npy: expected an .npy file, got a path that does not exist"),
        (
            lambda path: {"train": saved(path / "x.npy", np.zeros((20, 2)), cut=8)},
            r"x.npy: expected 448 B of float64 \(20, 2\), got a file of 440 B",
        ),
        (
            lambda path: {"train": saved(path / "x.npy", np.asfortranarray(np.zeros((20, 2))))},
            r"x.npy: expected rows in C order, got columns: save numpy.ascontiguousarray\(x\)",
        ),
        (lambda path: {"train": saved(path / "x.npy", np.zeros(20))}, r"train: expected a shape \[N, \.\.\.\]"),
        (
            lambda path: {"train": saved(path / "x.npy", np.zeros((20, 2), "U3"))},
            "train: expected bool, integers",
        ),
        (
            lambda path: {
                "train": saved(path / "x.npy", np.zeros((20, 2))),
                "valid": saved(path / "y.npy", np.zeros((20, 3))),
            },
            r"y.npy: expected float64 \[N, 2\] like .*x.npy, got float64 \[20, 3\]",
        ),
        (
            lambda path: {"train": saved(path / "x.npy", np.zeros((9, 2)))},
            "x.npy: expected at least 10 rows to take validation and test rows from, got 9; or give valid and test",
        ),
        (
            lambda path: {"train": saved(path / "x.npy", np.full((20, 2), np.nan))},
            "x.npy: train: expected finite values, got NaN or infinity",
        ),
    ],
    ids=["missing", "cut off", "columns", "labels only", "texts", "another shape", "few", "not finite"],
)
def test_files_that_cannot_be_used_are_refused(make, message, tmp_path):
    data = StreamedArrays(**make(tmp_path))
    with pytest.raises(DataError, match=message):
        _ = data.kind


def test_an_error_of_a_worker_is_that_of_the_batch(files):
    class Broken(Rows):
        event_shape = (2,)

        def __len__(self):
            return 50

        def read(self, indices):
            if 49 in indices:
                raise DataError("row.png: it cannot be read")
            return np.zeros((len(indices), 2), np.uint8)

    data = StreamedArrays(**files, batch_size=10)
    data.open()
    data._splits["train"] = Broken()  # rows that a file system lost
    with pytest.raises(DataError, match=r"^row\.png: it cannot be read$"):
        list(data.train_dataloader())


def test_a_file_that_has_shrunk_is_named(tmp_path):
    rows = NpyRows(saved(tmp_path / "x.npy", np.arange(40.0).reshape(20, 2)))
    assert rows.read(np.array([3, 4, 5, 19, 0])).tolist() == [[6, 7], [8, 9], [10, 11], [38, 39], [0, 1]]
    saved(tmp_path / "x.npy", np.arange(40.0).reshape(20, 2), cut=16)
    with pytest.raises(DataError, match=r"x\.npy: expected 20 rows, got the end of the file before"):
        rows.read(np.array([19]))
