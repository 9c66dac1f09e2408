"""Private names of PyTorch: each does what `torch_internals` takes it to do."""

import pytest
import torch

from reparam_suite.diagnostics.torch_internals import (
    TorchDispatchMode,
    lerp_all,
    squared_norm,
    storage_key,
    tensors_of,
    version_of,
)


def test_a_mode_sees_every_operation_with_its_tensors():
    seen = []

    class Watching(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            seen.append((str(func), len(tensors_of((args, kwargs)))))
            return func(*args, **(kwargs or {}))

    with Watching():
        torch.stack([torch.ones(2), torch.zeros(2)])
    assert ("aten.stack.default", 2) in seen


def test_views_have_the_storage_of_their_base_and_copies_do_not():
    base = torch.zeros(4)
    assert storage_key(base[1:]) == storage_key(base)
    assert storage_key(base.clone()) != storage_key(base)


def test_the_version_counts_changes_in_place():
    buffer = torch.zeros(2)
    before = version_of(buffer)
    buffer + 1.0
    assert version_of(buffer) == before
    buffer.add_(1.0)
    assert version_of(buffer) > before


def test_averages_and_norms_of_several_tensors():
    averages, values = [torch.zeros(2), torch.ones(3)], [torch.ones(2), torch.zeros(3)]
    lerp_all(averages, values, 0.25)
    assert [average.tolist() for average in averages] == [[0.25] * 2, [0.75] * 3]
    assert squared_norm(averages).item() == pytest.approx(2 * 0.0625 + 3 * 0.5625, rel=1e-6)
    assert squared_norm(averages).dtype == torch.float64
