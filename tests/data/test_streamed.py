"""Streamed rows: the batches of data in memory, whatever the number of workers, wherever they are resumed."""

import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.data.test_lightning import Witness

from reparam_suite.data import Arrays, StreamedArrays
from reparam_suite.data.positioned import Place


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


def test_a_file_that_is_much_larger_than_what_is_read_of_it_takes_no_memory(tmp_path):
    """2 GiB on paper, all of it holes: rows are read and not mapped."""
    path = tmp_path / "large.npy"
    np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(2**19, 4096)).flush()
    data = StreamedArrays(train=path, kind="grey", batch_size=256)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    batches = iter(data.train_dataloader())
    assert sum(len(next(batches)) for _ in range(200)) == 200 * 256  # 200 MiB, and as floats 800
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024
