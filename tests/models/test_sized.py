"""Constructors: refusals, defaults, and the arguments kept for a checkpoint."""

import inspect
import json
import re
from typing import get_args

import pytest
import torch
from tests.models.small import bits, categorical, discrete, gaussian, of_parts, seeded
from tests.statistics import LIMIT
from torch import nn
from torch.distributions import Normal

from reparam_suite.distributions import (
    BernoulliLikelihood,
    Conditional,
    DiagonalNormal,
    FactorizedBernoulli,
    FactorizedCategorical,
    FullCovarianceNormal,
    NormalLikelihood,
    StandardNormal,
)
from reparam_suite.estimators import (
    OVIS,
    Enumeration,
    ExponentialDecay,
    GumbelSoftmax,
    Learned,
    MovingAverage,
    Pathwise,
    ScoreFunction,
    StickTheLanding,
    VarianceNormalized,
)
from reparam_suite.models import DiscreteVAE, GaussianVAE, OptimizerSettings
from reparam_suite.networks import Activation
from reparam_suite.objectives import ELBO, ImportanceWeighted
from reparam_suite.runtime.construction import construct
from reparam_suite.runtime.plain_data import arguments, opaque_parts, plain


class WithoutEventAxes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return Normal(self.layer(x), 1.0)


class Pair(nn.Linear):
    def __init__(self) -> None:
        super().__init__(12, 6)

    def forward(self, x):
        return super().forward(x), None


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (gaussian, {"event_shape": (0,)}, "event_shape: expected an integer of at least 1, got 0"),
        (gaussian, {"latent_size": 0}, "latent_size: expected an integer of at least 1, got 0"),
        (gaussian, {"latent_size": 2.5}, "latent_size: expected an integer of at least 1, got 2.5"),
        (gaussian, {"learning_rate": 0.0}, "learning_rate: expected a positive, finite number, got 0.0"),
        (gaussian, {"learning_rate": float("inf")}, "learning_rate: expected a positive, finite number, got inf"),
        (gaussian, {"hidden_sizes": (7, 0)}, "hidden_sizes: expected widths of at least 1, got [7, 0]"),
        (
            gaussian,
            {"activation": "gelu"},
            f"activation: expected one of {', '.join(get_args(Activation))}, got 'gelu'",
        ),
        (gaussian, {"prior": "vamp"}, "prior: expected fixed, learned or a module, got 'vamp'"),
        (
            gaussian,
            {"posterior": FactorizedBernoulli()},
            "posterior of GaussianVAE: expected DiagonalNormal or FullCovarianceNormal, got FactorizedBernoulli",
        ),
        (
            discrete,
            {"posterior": DiagonalNormal()},
            "posterior of DiscreteVAE: expected FactorizedBernoulli or FactorizedCategorical, got DiagonalNormal",
        ),
        (gaussian, {"posterior": DiagonalNormal(4)}, "latent_size of DiagonalNormal: expected 3, got 4"),
        (
            gaussian,
            {"likelihood": NormalLikelihood(event_shape=(3, 4))},
            "event_shape of NormalLikelihood: expected (12,), got (3, 4)",
        ),
        (
            gaussian,
            {"encoder": nn.Linear(12, 7)},
            "posterior: expected a distribution for an input of shape (2, 12), got network: "
            "expected 6 numbers per datum for DiagonalNormal of event_shape (3,), got 7",
        ),
        (
            gaussian,
            {"decoder": nn.Linear(3, 11)},
            "likelihood: expected a distribution for an input of shape (2, 3), got network: "
            "expected 12 numbers per datum for BernoulliLikelihood of event_shape (12,), got 11",
        ),
        (
            gaussian,
            {"encoder": Pair()},
            "posterior: expected a distribution for an input of shape (2, 12), got network: "
            "expected to return a tensor, got tuple",
        ),
        (
            gaussian,
            {"prior": StandardNormal((4,)), "decoder": nn.LazyLinear(12)},
            "prior: expected the event_shape of the posterior, (3,), got (4,)",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(make, options, message):
    with pytest.raises((TypeError, ValueError)) as refused:
        make(**options)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("make", "options", "names"),
    [
        (gaussian, {"estimator": Enumeration()}, ["Enumeration", "Normal"]),
        (discrete, {"estimator": Pathwise()}, ["Pathwise", "Bernoulli"]),
        (discrete, {"estimator": GumbelSoftmax(), "objective": ImportanceWeighted()}, ["GumbelSoftmax", "LogMeanExp"]),
        (gaussian, {"estimator": StickTheLanding(), "objective": ELBO(kl="analytic")}, ["StickTheLanding", "analytic"]),
        (discrete, {"estimator": ScoreFunction(num_samples=2, baseline=OVIS())}, ["OVIS", "Average"]),
        (discrete, {"latent_size": 20, "estimator": Enumeration()}, ["Enumeration", "16,384", "1,048,576"]),
        (categorical, {"latent_size": 50, "estimator": Enumeration()}, ["Enumeration", "16,384", "10^30"]),
    ],
)
def test_an_estimator_that_does_not_fit_is_refused_with_both_sides(make, options, names):
    with pytest.raises(ValueError, match=".*".join(map(re.escape, names))):
        make(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"estimator": Pathwise}, "estimator: expected a GradientEstimator, got the class Pathwise"),
        ({"encoder": nn.Linear}, "encoder: expected a module or a builder, got the class Linear: call it first"),
        ({"decoder": lambda *_: 3}, "decoder: expected a builder that returns an nn.Module, got int"),
        (
            {"likelihood": NormalLikelihood},
            "likelihood: expected a family, got the class NormalLikelihood: call it first",
        ),
        ({"objective": lambda *_: None}, "objective: expected to return an Expectation, got NoneType"),
        ({"encoder": 0}, "encoder: expected a module or a builder (inputs, outputs) -> module, got 0"),
        ({"encoder": "abc"}, "encoder: expected a module or a builder (inputs, outputs) -> module, got 'abc'"),
        (
            {"objective": dict},
            "objective: expected a callable (model, x, step) -> Expectation, got the class dict: call it first",
        ),
        (
            {"objective": lambda model, x: x},
            "objective: expected a callable (model, x, step) -> Expectation, got function",
        ),
        ({"objective": 1.0}, "objective: expected a callable (model, x, step) -> Expectation, got float"),
        (
            {"optimizer": {"prior": 0.1}},
            "optimizer['prior']: expected OptimizerSettings, got float; "
            "settings for all parts are name, learning_rate, options, schedule",
        ),
    ],
)
def test_what_is_of_another_type_is_refused_by_name(options, message):
    with pytest.raises(TypeError) as refused:
        gaussian(**options)
    assert str(refused.value) == message


class ReturnsTensor(nn.Module):
    def forward(self, x):
        return x


@pytest.mark.parametrize(
    ("parts", "error", "message"),
    [
        (
            {"posterior": ReturnsTensor()},
            TypeError,
            "posterior: expected forward to return a Distribution, got Tensor",
        ),
        (
            {"posterior": WithoutEventAxes()},
            ValueError,
            "posterior: expected batch_shape (2,) for x of shape (2, 4), got (2, 3): "
            "wrap it in torch.distributions.Independent",
        ),
        (
            {"likelihood": Conditional(nn.Linear(5, 4), BernoulliLikelihood(event_shape=(4,)))},
            ValueError,
            "likelihood: expected a distribution for an input of shape (2, 3), got RuntimeError: "
            "mat1 and mat2 shapes cannot be multiplied (2x3 and 5x4)",
        ),
        (
            {"posterior": Conditional(nn.Linear(6, 6), DiagonalNormal(3))},
            ValueError,
            "posterior: expected a distribution for an input of shape (2, 4), got RuntimeError: "
            "mat1 and mat2 shapes cannot be multiplied (2x4 and 6x6)",
        ),
    ],
)
def test_parts_that_do_not_fit_each_other_are_reported_with_the_part_and_its_input(parts, error, message):
    with pytest.raises(error) as refused:
        of_parts(**parts)
    assert str(refused.value) == message


def test_a_model_of_parts_finds_the_shape_of_its_data():
    assert of_parts().event_shape == (4,)


@pytest.mark.parametrize(
    ("model", "estimator", "family", "analytic"),
    [
        (gaussian(), Pathwise, DiagonalNormal, True),
        (gaussian(estimator=StickTheLanding()), StickTheLanding, DiagonalNormal, False),
        (gaussian(objective=ImportanceWeighted()), Pathwise, DiagonalNormal, False),
        (gaussian(objective=ELBO(kl="sampled")), Pathwise, DiagonalNormal, False),
        (discrete(), ScoreFunction, FactorizedBernoulli, True),
        (categorical(), ScoreFunction, FactorizedCategorical, True),
    ],
)
def test_the_kl_is_analytic_where_estimator_and_objective_admit_it(model, estimator, family, analytic):
    assert type(model.estimator) is estimator
    assert type(model.posterior.family) is family
    assert (model.expectation(bits(5, 12)).exact is not None) == analytic


def test_both_models_have_the_same_networks():
    one, other = gaussian(posterior=DiagonalNormal(), latent_size=3), discrete(latent_size=6)
    assert [type(layer) for layer in one.posterior.network] == [type(layer) for layer in other.posterior.network]
    assert [parameter.shape for parameter in one.posterior.network.parameters()] == [
        parameter.shape for parameter in other.posterior.network.parameters()
    ]


def test_the_decoder_is_the_encoder_in_reverse():
    model = gaussian(hidden_sizes=(9, 5))
    widths = [layer.out_features for layer in model.likelihood.network if isinstance(layer, nn.Linear)]
    assert widths == [5, 9, 12]


# ----------------------------------------------------------------------------------------------------- learned baseline


@pytest.mark.parametrize("wrap", [lambda baseline: baseline, lambda baseline: VarianceNormalized(baseline=baseline)])
def test_a_lazy_baseline_has_its_shape_and_its_optimizer_from_the_start(wrap):
    baseline = Learned(hidden_sizes=(4, 5))
    model = discrete(estimator=ScoreFunction(baseline=wrap(baseline)))
    assert [tuple(parameter.shape) for parameter in baseline.parameters()] == [
        (4, 12),
        (4,),
        (5, 4),
        (5,),
        (1, 5),
        (1,),
    ]
    stepped = {id(parameter) for group in model.configure_optimizers().param_groups for parameter in group["params"]}
    assert {id(parameter) for parameter in model.parameters() if parameter.requires_grad} == stepped
    assert list(model.parameter_groups()) == ["encoder", "decoder", "control"]


def test_making_a_model_leaves_the_estimators_state_as_it_was():
    baseline = MovingAverage()
    estimator = ScoreFunction(baseline=baseline)
    discrete(estimator=estimator)
    assert estimator.training
    assert all(not buffer.any() for buffer in baseline.buffers())


# ----------------------------------------------------------------------------------------------------------- plain data


NESTED = [
    gaussian(),
    gaussian(
        posterior=FullCovarianceNormal(),
        estimator=StickTheLanding(num_samples=3),
        objective=ImportanceWeighted(),
        optimizer={
            "encoder": OptimizerSettings(name="RAdam", options={"betas": (0.8, 0.9)}),
            "prior": OptimizerSettings(name="SGD", learning_rate=0.1),
        },
        prior="learned",
        hidden_sizes=(),
        likelihood=NormalLikelihood(scale=0.3),
    ),
    discrete(estimator=ScoreFunction(num_samples=3, baseline=VarianceNormalized(baseline=Learned(hidden_sizes=(4,))))),
    categorical(
        estimator=GumbelSoftmax(temperature=ExponentialDecay(start=2.0)), objective=ELBO(weight=0.5, warmup_steps=10)
    ),
]


@pytest.mark.parametrize("model", NESTED)
def test_arguments_are_plain_and_complete(model):
    plain = arguments(model)
    assert json.loads(json.dumps(plain)) == plain
    assert set(inspect.signature(type(model)).parameters) == set(plain)
    assert not list(opaque_parts(plain))


@pytest.mark.parametrize("model", NESTED)
def test_a_model_is_made_again_from_its_arguments(model):
    again = construct(plain(model))
    assert arguments(again) == arguments(model)
    assert [p.shape for p in again.parameters()] == [p.shape for p in model.parameters()]


class Wider(DiscreteVAE):
    def __init__(self, width: int = 5) -> None:
        super().__init__(event_shape=(12,), latent_size=3, hidden_sizes=(width,))
        self.width = width


def test_a_subclass_with_a_constructor_of_its_own_keeps_its_arguments_as_attributes():
    assert arguments(Wider(width=6)) == {"width": 6}


# ------------------------------------------------------------------------------------------------------------ use


@pytest.mark.parametrize("make", [gaussian, discrete, categorical])
def test_the_forward_pass_has_no_noise_and_decodes_the_mean(make):
    model, x = make(), bits(5, 12)
    first, second = model(x), model(x)
    names = ["loc", "scale"] if isinstance(model, GaussianVAE) else ["logits"]
    assert list(first) == [*names, "reconstruction"]
    for name in first:
        assert torch.equal(first[name], second[name])
    mean = model.encode(x).mean
    assert torch.allclose(first["reconstruction"], model.likelihood.network(mean).sigmoid())
    assert torch.equal(model.reconstruct(x), model.decode(mean).mean)


@pytest.mark.parametrize("make", [gaussian, discrete, categorical])
def test_samples_are_means_or_draws_given_latents_of_the_prior(make):
    model = make()
    with seeded(2):
        means = model.sample(40_000)
    with seeded(2):
        draws = model.sample(40_000, draw=True)
    assert means.shape == draws.shape == (40_000, 12)
    assert set(draws.unique().tolist()) == {0.0, 1.0}
    error = (draws - means).std(0) / 200.0
    assert ((draws - means).mean(0).abs() < LIMIT * error).all()
