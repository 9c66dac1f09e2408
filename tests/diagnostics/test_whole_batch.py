"""The road over the whole batch: for data that are mixed or share latents."""

import logging

import pytest
import torch
from tests.diagnostics.own_models import Mixed, MixedInputs, PlainVAE, SharedLatents, plain_networks, rows
from tests.diagnostics.roads import assert_same_variance
from torch import Tensor

from reparam_suite.diagnostics import MemoryBudgetError, gradient_statistics, grouped_sums, naive_gradient_statistics


@pytest.mark.parametrize("mixed", [True, False])
def test_data_that_are_mixed_or_share_latents_are_measured_as_a_whole(mixed: bool, caplog):
    model = (Mixed(*plain_networks(), latent_size=2) if mixed else SharedLatents()).double()
    x = rows(5, 6 if mixed else 3)
    with torch.random.fork_rng(), caplog.at_level(logging.INFO):
        torch.manual_seed(4)
        slow = naive_gradient_statistics(model, x, 200)
        ours = gradient_statistics(model, x, 200, per_element=True)
        (whole,) = grouped_sums(model, x, 20)["prior" if mixed else "own"]
    reason = "depends on the other data of the batch" if mixed else "data has the shape [], no row for each"
    assert reason in caplog.text
    assert list(ours) == list(slow)
    for name, statistics in ours.items():
        assert statistics.road == "whole batch"
        assert_same_variance(statistics, slow[name], name)
        assert statistics.data_variance is None or torch.isnan(statistics.data_variance)
    assert whole.num_data == 5


def test_parts_of_a_batch_whose_inputs_are_mixed_are_not_measured_by_themselves():
    model, x = MixedInputs(*plain_networks(), latent_size=2).double(), rows(6)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        slow = naive_gradient_statistics(model, x, 200)
        ours = gradient_statistics(model, x, 200)
        tight = gradient_statistics(model, x, 200, memory_budget=smallest(model, x))
        assert len(grouped_sums(model, x)["prior"]) == 1
    for name, expected in slow.items():
        assert (ours[name].road, tight[name].road) == ("layer by layer", "whole batch")
        assert_same_variance(ours[name], expected, name)
        assert_same_variance(tight[name], expected, name)


def smallest(model: PlainVAE, x: Tensor) -> int:
    with pytest.raises(MemoryBudgetError) as refused:
        gradient_statistics(model, x, 200, memory_budget=1)
    return refused.value.needed
