"""Models that are no VAEs, and their parts."""

import copy
from dataclasses import replace

import pytest
import torch
from lightning.pytorch import LightningModule
from tests.diagnostics.own_models import LowerHalf, Steps, plain, rows
from tests.diagnostics.roads import assert_same_variance, reference
from torch import nn

from reparam_suite.diagnostics import (
    gradient_bias,
    gradient_cost,
    gradient_statistics,
    gradient_sums,
    measuring,
    naive_gradient_statistics,
    reference_gradients,
    trained_parameters,
)
from reparam_suite.diagnostics.gradients import Measurement
from reparam_suite.estimators import Learned, LeaveOneOut, Pathwise, ScoreFunction


def test_a_stochastic_layer_and_a_batch_with_a_name_in_it():
    model, batch = LowerHalf().double(), LowerHalf.batch(5)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        expected = reference(model, batch, 4)
        torch.manual_seed(2)
        got = gradient_statistics(model, batch, 4, per_element=True)
    assert list(got) == ["hidden", "output", "own", "logits"]
    for name, (variance, squared_norm, elements) in expected.items():
        assert got[name].road == "layer by layer"
        torch.testing.assert_close(got[name].variance, variance)
        torch.testing.assert_close(got[name].squared_norm, squared_norm)
        torch.testing.assert_close(
            torch.cat([variance.flatten() for variance in got[name].element_variances]), elements
        )
    assert gradient_cost(model, batch).evaluations == 4
    biases = gradient_bias(model, batch)
    assert all(reference_gradients(model, batch)[name].exact for name in biases)
    assert (1.0 - biases["hidden"].cosine).abs() < 5.5 * biases["hidden"].cosine_error


def test_latents_at_every_step_of_a_datum():
    model, x = Steps().double(), rows(4, 6).view(4, 3, 2)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        slow = naive_gradient_statistics(model, x, 200)
        fast = gradient_statistics(model, x, 150)
    for name, statistics in fast.items():
        assert statistics.road == "datum by datum", "a GRU is called with an argument that is no tensor"
        assert_same_variance(statistics, slow[name], name)


def test_parts_are_child_modules_without_the_estimators_parameters():
    model = plain(estimator=ScoreFunction(num_samples=2, baseline=LeaveOneOut()))
    assert list(trained_parameters(model)) == ["posterior", "likelihood", "prior"]
    model.estimator = ScoreFunction(baseline=Learned())
    target = model.expectation(torch.zeros(2, 6))
    model.estimator(replace(target, context=torch.zeros(2, 6)))
    assert list(model.estimator.parameters())
    assert list(trained_parameters(model)) == ["posterior", "likelihood", "prior"]
    model.prior.requires_grad_(False)
    model.posterior.network[2] = model.likelihood.network[0]
    groups = trained_parameters(model)
    assert list(groups) == ["posterior", "likelihood"]
    assert sum(len(group) for group in groups.values()) == len({p for group in groups.values() for p in group})


def test_a_lightning_module_of_ones_own_names_its_parts():
    class Own(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.inside = plain()
            self.estimator = Pathwise()

        def expectation(self, batch):
            return self.inside.expectation(batch[0])

        def parameter_groups(self):
            return {"all of it": list(self.parameters())}

    model, x = Own().double(), rows(3)
    assert list(gradient_statistics(model, (x, torch.arange(3)))) == ["all of it", "loc", "scale"]


def test_what_is_no_model_is_refused():
    with pytest.raises(
        TypeError, match=r"model: expected an nn.Module with expectation\(batch\) and an estimator, got"
    ):
        gradient_statistics(nn.Linear(2, 2), rows(2))
    with pytest.raises(ValueError, match="batch: expected tensors with one number of rows, got 2 and 3"):
        gradient_statistics(plain(), [rows(2), rows(3)])
    with pytest.raises(ValueError, match="batch: expected a tensor with a batch axis, got dict without one"):
        gradient_statistics(plain(), {"name": "x"})


def test_a_measurement_serves_along_training_and_notices_other_layers():
    model, x = plain().double(), rows(4)
    with measuring(model):
        measurement = Measurement(model, x)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        expected = gradient_sums(model, x)
        torch.manual_seed(2)
        got = gradient_sums(model, x, measurement=measurement)
    for name, sums in expected.items():
        assert torch.equal(got[name].variance, sums.variance)
    model.posterior.network[0] = copy.deepcopy(model.posterior.network[0])
    model.estimator = Pathwise(num_samples=3)
    again = gradient_sums(model, x, measurement=measurement)
    assert {sums.road for sums in again.values()} == {"layer by layer"}
