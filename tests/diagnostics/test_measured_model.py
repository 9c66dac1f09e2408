"""Models that are no VAEs, batches of any nesting, data that are mixed or share latents."""

import copy
import logging
from dataclasses import replace

import pytest
import torch
from lightning.pytorch import LightningModule
from tests.diagnostics.own_models import LowerHalf, Mixed, MixedInputs, PlainVAE, SharedLatents, Steps
from tests.diagnostics.test_gradients import assert_same_variance, reference
from torch import Tensor, nn

from reparam_suite.diagnostics import (
    MemoryBudgetError,
    gradient_bias,
    gradient_cost,
    gradient_statistics,
    gradient_sums,
    grouped_sums,
    measuring,
    naive_gradient_statistics,
    reference_gradients,
    trained_parameters,
)
from reparam_suite.diagnostics.batches import num_data, part, repeated, split_evenly
from reparam_suite.diagnostics.gradients import Measurement
from reparam_suite.estimators import Learned, LeaveOneOut, Pathwise, ScoreFunction


def plain(**options) -> PlainVAE:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4))
        return PlainVAE(encoder, nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 6)), latent_size=2, **options)


def rows(num_data: int, size: int = 6) -> Tensor:
    return torch.rand(num_data, size, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).round()


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


def plain_networks() -> tuple[nn.Module, nn.Module]:
    model = plain()
    return model.posterior.network, model.likelihood.network


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


def test_a_layout_that_puts_data_first_is_found_out():
    """Rows in another order than sample by sample: the sums over data are right, those of a datum are not."""

    class DataFirst(nn.Module):
        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, z: Tensor) -> Tensor:
            return self.network(z.transpose(0, 1).flatten(0, 1)).view(z.shape[1], z.shape[0], -1).transpose(0, 1)

    model, x = plain(estimator=Pathwise(num_samples=4)).double(), rows(4)
    model.likelihood.forward = lambda z: torch.distributions.Independent(
        torch.distributions.Normal(first(z), 1.0, validate_args=False), 1
    )
    first = DataFirst(model.likelihood.network)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        slow = naive_gradient_statistics(model, x, 300)
        fast = gradient_statistics(model, x, 150)
    assert fast["likelihood"].road == "datum by datum"
    assert_same_variance(fast["likelihood"], slow["likelihood"], "likelihood")


def test_an_objective_that_samples_a_learned_prior_is_not_misled():
    class Matched(PlainVAE):
        def expectation(self, x):
            target = super().expectation(x)
            torch.manual_seed(0)
            apart = self.prior().rsample((1,)).square().sum() * x.sum(-1)
            return type(target)(q=target.q, f=target.f, exact=target.exact - 0.1 * apart)

    model, x = Matched(*plain_networks(), latent_size=2).double(), rows(3)
    assert gradient_statistics(model, x)["prior"].road == "datum by datum"


def test_noise_before_the_encoder_is_drawn_in_every_repeat():
    class Denoising(PlainVAE):
        def expectation(self, x):
            return super().expectation(x + 0.5 * torch.randn_like(x))

    class NoisyEncoder(nn.Sequential):
        def forward(self, x):
            return super().forward(x + 0.5 * torch.randn_like(x))

    encoder, decoder = plain_networks()
    for model in (Denoising(encoder, decoder, latent_size=2), PlainVAE(NoisyEncoder(encoder), decoder, latent_size=2)):
        x = rows(3)
        with torch.random.fork_rng():
            torch.manual_seed(4)
            slow = naive_gradient_statistics(model.double(), x, 300)
            fast = gradient_statistics(model, x, 200)
        for name, statistics in fast.items():
            assert statistics.road == "layer by layer"
            assert_same_variance(statistics, slow[name], name)


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
    assert {each.road for each in again.values()} == {"layer by layer"}


def test_batches_are_taken_apart_and_repeated_along_their_own_axis():
    batch = LowerHalf.batch(5)
    assert num_data(batch) == 5
    twice = repeated(batch, 2)
    assert torch.equal(twice["above"], torch.cat([batch["above"]] * 2))
    assert twice["rest"][1] == "a name"
    assert twice["number"] == 3
    assert [num_data(each) for each in split_evenly(batch, 3)] == [2, 2, 1]
    assert torch.equal(part(batch, slice(1, 3))["rest"][0], batch["rest"][0][1:3])
