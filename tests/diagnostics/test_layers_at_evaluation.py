"""Layers that are another function in evaluation: refused on every road, or measured off."""

import pytest
from tests.diagnostics.own_models import plain, rows
from torch import nn

from reparam_suite.diagnostics import (
    gradient_bias,
    gradient_statistics,
    grouped_sums,
    naive_gradient_statistics,
    reference_gradients,
)
from reparam_suite.diagnostics.layers_at_evaluation import layers_off


@pytest.mark.parametrize(
    ("norm", "reason"),
    [
        (nn.BatchNorm2d(2), "expected a model without batch norm, got BatchNorm2d at 0; in evaluation mode"),
        (nn.InstanceNorm2d(2, track_running_stats=True), "got InstanceNorm2d with track_running_stats at 0; in eval"),
    ],
    ids=["batch norm", "running averages"],
)
def test_norms_that_are_another_function_in_evaluation_are_refused(norm: nn.Module, reason: str):
    with pytest.raises(ValueError, match=reason):
        layers_off(nn.Sequential(norm))
    assert layers_off(nn.Sequential(nn.InstanceNorm2d(2), nn.GroupNorm(1, 2), nn.Dropout(0.5))) == ("2",)


def test_batch_norm_is_refused_on_every_road_and_dropout_is_off():
    model = plain().double()
    model.posterior.network[1] = nn.Dropout(0.5)
    statistics = gradient_statistics(model, rows(4))
    assert {statistic.off for statistic in statistics.values()} == {("posterior.network.1",)}
    assert {statistics.off for statistics in naive_gradient_statistics(model, rows(4), 4).values()} == {
        ("posterior.network.1",)
    }
    assert model.posterior.network[1].training
    model.likelihood.network[1] = nn.BatchNorm1d(5).double()
    for measure in (gradient_statistics, naive_gradient_statistics, grouped_sums, reference_gradients, gradient_bias):
        with pytest.raises(ValueError, match=r"got BatchNorm1d at likelihood\.network\.1; in evaluation mode"):
            measure(model, rows(4))
