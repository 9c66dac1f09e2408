"""Problems beyond location and scale."""

import pytest
from tests.problems.exact import value

from reparam_suite.estimators import LogMeanExp
from reparam_suite.problems import (
    VonMisesModel,
)


def test_the_nodes_on_the_circle_are_enough():
    for as_it_is, denser in (
        (VonMisesModel(), VonMisesModel()),
        (VonMisesModel(bound=LogMeanExp(), num_samples=2), VonMisesModel(bound=LogMeanExp(), num_samples=2)),
    ):
        denser.num_nodes = as_it_is.num_nodes + 6
        assert value(as_it_is).item() == pytest.approx(value(denser).item(), abs=1e-11)
