"""The split of the 60,000 training images, on a small file of the same arrays."""

import torch

from reparam_suite.data import MNIST


def test_the_last_training_images_validate(small_mnist):
    data = MNIST(root=small_mnist, binarization="none")
    assert data.num_rows == {"train": 200, "valid": 100, "test": 60}


def test_without_holding_out_all_images_train_and_the_last_still_validate(small_mnist):
    held_out, data = (
        MNIST(root=small_mnist, binarization="none", hold_out=each, batch_size=300) for each in (True, False)
    )
    assert data.num_rows == {"train": 300, "valid": 100, "test": 60}
    train, valid = (torch.cat(list(data.undivided(split))) for split in ("train", "valid"))
    assert torch.equal(train[200:], valid)
    assert torch.equal(valid, torch.cat(list(held_out.undivided("valid"))))
    assert data.digest != held_out.digest
