"""Objects as a user writes them."""

import subprocess
import sys

import pytest
from torch import nn

from reparam_suite.estimators import GumbelSoftmax, Learned, LeaveOneOut, LinearDecay, ScoreFunction, VarianceNormalized
from reparam_suite.models import OptimizerSettings
from reparam_suite.objectives import ELBO
from reparam_suite.runtime.expressions import written


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (ScoreFunction(), "ScoreFunction()"),
        (ScoreFunction(num_samples=4, baseline=LeaveOneOut()), "ScoreFunction(num_samples=4, baseline=LeaveOneOut())"),
        (
            ScoreFunction(baseline=VarianceNormalized(baseline=Learned(hidden_sizes=(7,)))),
            "ScoreFunction(baseline=VarianceNormalized(baseline=Learned(hidden_sizes=[7])))",
        ),
        (GumbelSoftmax(temperature=LinearDecay(start=2.0)), "GumbelSoftmax(temperature=LinearDecay(start=2.0))"),
        (OptimizerSettings(name="SGD"), "OptimizerSettings(name='SGD')"),
        (ELBO(), "ELBO()"),
        (1e-3, "0.001"),
        ({"a": (1, "b")}, "{'a': [1, 'b']}"),
    ],
)
def test_an_object_is_written_as_a_user_writes_it(value, text):
    assert written(value) == text


def test_what_is_opaque_is_distinguished_by_its_content_in_every_process():
    assert written(nn.Linear(2, 3)) == written(nn.Linear(2, 3)) != written(nn.Linear(2, 4))
    first, second = (lambda x: x + 1), (lambda x: x + 2)
    assert written(first) != written(second)
    code = (
        "from torch import nn; from reparam_suite.runtime.expressions import written; print(written(nn.Linear(2, 3)))"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == written(nn.Linear(2, 3))
