"""The position in the training order, saved in mid-epoch and taken up elsewhere."""

import pytest
import torch

from reparam_suite.data import Digits, StreamedArrays


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


def test_a_position_is_kept_before_anything_is_read():
    data = Digits(batch_size=300)
    data.load_state_dict({"epoch": 3, "batch": 2})
    assert data.state_dict() == {"epoch": 3, "batch": 2}
    data.setup()
    assert data.state_dict() == {"epoch": 3, "batch": 2}
    assert len(list(data.train_dataloader())) == 3  # of five
