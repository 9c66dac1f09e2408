"""An objective of a user's own is measured as it is trained, by every diagnostic, and no other is."""

import pytest
import torch
from tests.diagnostics.cases import data
from tests.statistics import LIMIT

from reparam_suite.diagnostics import (
    exact_reference,
    gradient_bias,
    gradient_statistics,
    gradient_sums,
    measure,
    reference_gradients,
)
from reparam_suite.estimators import Expectation, Pathwise, Quadrature, StickTheLanding
from reparam_suite.models import GaussianVAE
from reparam_suite.objectives import ELBO

SIZES = {"event_shape": (6,), "latent_size": 2, "hidden_sizes": (5,), "activation": "tanh"}


class Capacity:
    """Beta 4 on what the KL exceeds half a nat by, in a function of one's own."""

    def __call__(self, model: GaussianVAE, x: torch.Tensor, step: int) -> Expectation:
        q = model.posterior(x)
        kl = torch.distributions.kl_divergence(q, model.prior())
        return Expectation(q=q, f=lambda z, _: model.log_likelihood(x, z), exact=-4.0 * (kl - 0.5).abs())


@pytest.mark.parametrize("objective", [ELBO(weight=4.0, free_bits=0.2), Capacity()], ids=["beta and free bits", "own"])
def test_training_measurement_bias_and_common_checkpoint_have_one_gradient(objective):
    torch.manual_seed(0)
    model, x = GaussianVAE(**SIZES, objective=objective).double(), data(8)
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    encoder = model.parameter_groups()["encoder"]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        # The training gradient over 20,000 copies of each datum.
        loss = model.training_step(x.repeat(20_000, 1), 0)["loss"]
        trained = -torch.cat([gradient.flatten() for gradient in torch.autograd.grad(loss, encoder)])
        measured = gradient_sums(model, x, 400)["encoder"]
        exact = reference_gradients(model, x)["encoder"]
        bias = gradient_bias(model, x, num_repeats=50)["encoder"]
        (row,) = measure(model, [x], {"own": model.estimator}, references=[reference_gradients(model, x)])
        model.objective = ELBO()
        plain = reference_gradients(model, x)["encoder"].gradient
        other = gradient_statistics(model, x, 400)["encoder"]
    assert exact.estimator == "Quadrature"
    statistics = measured.statistics()
    for gradient, num_draws in ((trained, 20_000), (measured.gradient / measured.num_data, 400)):
        distance = (gradient - exact.gradient).square().sum()
        assert distance < 4.0 * statistics.variance / num_draws + 1e-12
        assert (gradient - plain).square().sum() > 100.0 * distance
    for found in (bias, row.bias["encoder"]):
        assert found.squared_bias.abs() < LIMIT * found.squared_bias_error
        torch.testing.assert_close(found.reference_squared_norm, exact.gradient.square().sum())
    assert (other.squared_norm - statistics.squared_norm).abs() > 0.1 * statistics.squared_norm


def test_the_step_of_a_loaded_model_is_measured():
    """Half of a warm-up: the weight is that of the step at which the model was saved."""
    torch.manual_seed(0)
    model, x = GaussianVAE(**SIZES, objective=ELBO(weight=4.0, warmup_steps=10)).double(), data(4)
    half = GaussianVAE(**SIZES, objective=ELBO(weight=2.0)).double()
    model.set_extra_state(torch.tensor(5))
    half.load_state_dict({name: value for name, value in model.state_dict().items() if name != "_extra_state"}, False)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        ours = gradient_statistics(model, x)
        torch.manual_seed(1)
        theirs = gradient_statistics(half, x)
    for name, statistics in ours.items():
        assert torch.equal(statistics.squared_norm, theirs[name].squared_norm)


def test_an_estimator_is_measured_on_the_expectation_that_is_made_for_it():
    torch.manual_seed(0)
    model, x = GaussianVAE(**SIZES).double(), data(4)
    rows = {row.name: row for row in measure(model, [x], {"a": Pathwise(), "b": StickTheLanding()})}
    assert (rows["a"].closed_form, rows["b"].closed_form) == (True, False)
    assert isinstance(exact_reference(model, x), Quadrature)
    assert isinstance(model.estimator, Pathwise)
