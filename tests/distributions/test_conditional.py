"""A network sees one batch axis; the distribution has all axes that came before a datum."""

import pytest
import torch
from torch import nn

from reparam_suite.distributions import (
    BernoulliLikelihood,
    Conditional,
    DiagonalNormal,
    FactorizedCategorical,
    FullCovarianceNormal,
)


class Seen(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.shapes = network, []

    def forward(self, y):
        self.shapes.append(tuple(y.shape))
        return self.network(y)


@pytest.mark.parametrize("lead", [(), (5,), (2, 5), (2, 3, 5)])
@pytest.mark.parametrize(
    ("network", "family", "datum"),
    [
        (nn.Linear(4, 6), DiagonalNormal(3), (4,)),
        (nn.Sequential(nn.Flatten(), nn.Linear(8, 9)), FullCovarianceNormal(3), (4, 2)),
        (nn.Conv2d(1, 2, 3), BernoulliLikelihood(event_shape=(2, 2, 3)), (1, 4, 5)),
        (nn.Sequential(nn.Flatten(), nn.Linear(8, 6)), FactorizedCategorical(2, num_classes=3), (4, 2)),
    ],
)
def test_a_network_sees_one_batch_axis(lead, network, family, datum):
    seen = Seen(network)
    conditional = Conditional(seen, family, input_axes=len(datum))
    y = torch.randn(*lead, *datum)
    p = conditional(y)
    assert [len(shape) for shape in seen.shapes] == [1 + len(datum)]
    assert (p.batch_shape, p.event_shape) == (lead, family.event_shape)
    alone = conditional(y.reshape(-1, *datum)[:1])
    assert torch.allclose(p.mean.reshape(-1, *family.event_shape)[:1], alone.mean, atol=1e-6)


def test_another_number_of_parameters_is_refused_with_both_sides():
    conditional = Conditional(nn.Linear(4, 7), DiagonalNormal(3))
    with pytest.raises(ValueError, match=r"network: expected 6 numbers .* DiagonalNormal of event_shape \(3,\), got 7"):
        conditional(torch.zeros(2, 4))


def test_too_few_axes_are_refused():
    conditional = Conditional(nn.Conv2d(1, 2, 3), DiagonalNormal(3), input_axes=3)
    with pytest.raises(ValueError, match=r"y: expected at least 3 axes, got shape \(4,\)"):
        conditional(torch.zeros(4))
