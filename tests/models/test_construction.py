"""What the constructors refuse, what they default to, and what they keep for a checkpoint."""

import inspect
import json
from typing import get_args

import pytest
import torch
from tests.models.small import SIZES, bits, categorical, discrete, gaussian
from torch import nn

from reparam_suite.estimators import (
    OVIS,
    Average,
    Enumeration,
    ExponentialDecay,
    GumbelSoftmax,
    Learned,
    LeaveOneOut,
    LogMeanExp,
    MovingAverage,
    Pathwise,
    ScoreFunction,
    StickTheLanding,
    VarianceNormalized,
)
from reparam_suite.models import VAE, DiscreteVAE, GaussianVAE, OptimizerSettings
from reparam_suite.networks import Activation
from reparam_suite.distributions import DiagonalNormal, FactorizedBernoulli, FactorizedCategorical, FullCovarianceNormal

PATHWISE = " or ".join(each.__name__ for each in Pathwise.families)


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (gaussian, {"num_features": 0}, "num_features must be at least 1, got 0"),
        (gaussian, {"latent_size": 0}, "latent_size must be at least 1, got 0"),
        (gaussian, {"kl_weight": -0.5}, "kl_weight must be at least 0.0, got -0.5"),
        (gaussian, {"kl_weight": float("nan")}, "kl_weight must be at least 0.0, got nan"),
        (gaussian, {"kl_warmup_steps": -1}, "kl_warmup_steps must be at least 0, got -1"),
        (gaussian, {"learning_rate": 0.0}, "learning_rate must be positive, got 0.0"),
        (gaussian, {"hidden_sizes": (7, 0)}, "hidden_sizes must be positive, got [7, 0]"),
        (
            gaussian,
            {"activation": "gelu"},
            f"activation must be one of {', '.join(get_args(Activation))}, got 'gelu'",
        ),
        (gaussian, {"observation": "counts"}, "observation must be one of binary, real, got 'counts'"),
        (gaussian, {"prior": "vamp"}, "prior must be one of fixed, learned, got 'vamp'"),
        (gaussian, {"kl": "exact"}, "kl must be one of analytic, sampled, got 'exact'"),
        (
            gaussian,
            {"posterior": FactorizedBernoulli()},
            "posterior of GaussianVAE must be DiagonalNormal or FullCovarianceNormal, got FactorizedBernoulli",
        ),
        (
            discrete,
            {"posterior": DiagonalNormal()},
            "posterior of DiscreteVAE must be FactorizedBernoulli or FactorizedCategorical, got DiagonalNormal",
        ),
        (
            gaussian,
            {"estimator": Enumeration()},
            "estimator Enumeration does not fit posterior DiagonalNormal, bound Average, kl analytic: "
            "Enumeration needs q of Bernoulli or OneHotCategorical, got Normal",
        ),
        (
            discrete,
            {"estimator": Pathwise()},
            "estimator Pathwise does not fit posterior FactorizedBernoulli, bound Average, kl analytic: "
            f"Pathwise needs q of {PATHWISE}, got Bernoulli",
        ),
        (
            discrete,
            {"estimator": GumbelSoftmax(), "bound": LogMeanExp()},
            "estimator GumbelSoftmax does not fit posterior FactorizedBernoulli, bound LogMeanExp, kl sampled: "
            "GumbelSoftmax supports the bound Average, got LogMeanExp",
        ),
        (
            gaussian,
            {"estimator": StickTheLanding(), "kl": "analytic"},
            "estimator StickTheLanding does not fit posterior DiagonalNormal, bound Average, kl analytic: "
            "StickTheLanding needs all of log q inside f: a sampled KL, got an analytic one",
        ),
        (
            gaussian,
            {"bound": LogMeanExp(), "kl": "analytic"},
            "estimator Pathwise does not fit posterior DiagonalNormal, bound LogMeanExp, kl analytic: "
            "LogMeanExp needs all of log q inside f: a sampled KL, got an analytic one",
        ),
        (
            discrete,
            {"estimator": ScoreFunction(num_samples=2, baseline=OVIS())},
            "estimator ScoreFunction does not fit posterior FactorizedBernoulli, bound Average, kl analytic: "
            "baseline OVIS supports the bound LogMeanExp, got Average",
        ),
        (
            discrete,
            {"latent_size": 20, "estimator": Enumeration()},
            "estimator Enumeration does not fit posterior FactorizedBernoulli, bound Average, kl analytic: "
            "Enumeration of 1,048,576 states (latents of shape 20) is too many: max_states is 16,384",
        ),
        (
            categorical,
            {"latent_size": 50, "estimator": Enumeration()},
            "estimator Enumeration does not fit posterior FactorizedCategorical, bound Average, kl analytic: "
            "Enumeration of about 10^30 states (latents of shape 50x4) is too many: max_states is 16,384",
        ),
        (
            gaussian,
            {"bound": LogMeanExp(), "kl_weight": 0.5},
            "bound LogMeanExp accepts kl_weight 1 without warm-up, weighted it is no bound; "
            "got kl_weight 0.5 and kl_warmup_steps 0",
        ),
        (
            gaussian,
            {"bound": LogMeanExp(), "kl_warmup_steps": 9},
            "bound LogMeanExp accepts kl_weight 1 without warm-up, weighted it is no bound; "
            "got kl_weight 1 and kl_warmup_steps 9",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(make, options, message):
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the whole message is compared
        make(**options)
    assert str(refused.value) == message


def test_a_model_without_a_posterior_of_its_own_cannot_be_made():
    with pytest.raises(TypeError, match="abstract class VAE"):
        VAE(**SIZES)


@pytest.mark.parametrize(
    ("model", "estimator", "posterior", "kl"),
    [
        (gaussian(), Pathwise, DiagonalNormal, "analytic"),
        (gaussian(estimator=StickTheLanding()), StickTheLanding, DiagonalNormal, "sampled"),
        (gaussian(bound=LogMeanExp()), Pathwise, DiagonalNormal, "sampled"),
        (gaussian(kl="sampled"), Pathwise, DiagonalNormal, "sampled"),
        (discrete(), ScoreFunction, FactorizedBernoulli, "analytic"),
        (categorical(), ScoreFunction, FactorizedCategorical, "analytic"),
    ],
)
def test_the_kl_is_analytic_where_estimator_and_bound_admit_it(model, estimator, posterior, kl):
    assert type(model.estimator) is estimator
    assert type(model.posterior) is posterior
    assert model.kl == kl


def test_defaults_are_objects_of_their_own():
    first, second = discrete(), discrete()
    assert first.estimator is not second.estimator
    assert first.estimator.num_samples == 4
    assert type(first.estimator.baseline) is LeaveOneOut
    first.estimator.num_samples = 9
    assert discrete().estimator.num_samples == 4


def test_both_models_have_the_same_networks():
    one, other = gaussian(posterior=DiagonalNormal(), latent_size=3), discrete(latent_size=6)
    assert [type(each) for each in one.encoder] == [type(each) for each in other.encoder]
    assert [each.shape for each in one.encoder.parameters()] == [each.shape for each in other.encoder.parameters()]


def test_the_decoder_is_the_encoder_in_reverse():
    model = gaussian(hidden_sizes=(9, 5))
    widths = [each.out_features for each in model.decoder if isinstance(each, nn.Linear)]
    assert widths == [5, 9, 12]


# ----------------------------------------------------------------------------------------------------- learned baseline


@pytest.mark.parametrize("wrap", [lambda each: each, lambda each: VarianceNormalized(baseline=each)])
def test_a_lazy_baseline_has_its_shape_and_its_optimizer_from_the_start(wrap):
    baseline = Learned(hidden_sizes=(4, 5))
    model = discrete(estimator=ScoreFunction(baseline=wrap(baseline)))
    assert [tuple(each.shape) for each in baseline.parameters()] == [(4, 12), (4,), (5, 4), (5,), (1, 5), (1,)]
    stepped = {id(each) for group in model.configure_optimizers().param_groups for each in group["params"]}
    assert {id(each) for each in model.parameters() if each.requires_grad} == stepped
    assert list(model.parameter_groups()) == ["encoder", "decoder", "control"]


def test_making_a_model_leaves_the_estimators_state_as_it_was():
    baseline = MovingAverage()
    estimator = ScoreFunction(baseline=baseline)
    discrete(estimator=estimator)
    assert estimator.training
    assert all(not buffer.any() for buffer in baseline.buffers())


# ------------------------------------------------------------------------------------------------------ hyperparameters


NESTED = [
    gaussian(),
    gaussian(
        posterior=FullCovarianceNormal(),
        estimator=StickTheLanding(num_samples=3),
        bound=LogMeanExp(),
        optimizer=OptimizerSettings(name="RAdam", options={"betas": (0.8, 0.9)}),
        prior="learned",
        prior_optimizer=OptimizerSettings(name="SGD", learning_rate=0.1),
        hidden_sizes=(),
        observation="real",
    ),
    discrete(estimator=ScoreFunction(num_samples=3, baseline=VarianceNormalized(baseline=Learned(hidden_sizes=(4,))))),
    categorical(estimator=GumbelSoftmax(temperature=ExponentialDecay(start=2.0)), kl_warmup_steps=10, kl_weight=0.5),
]


@pytest.mark.parametrize("model", NESTED)
def test_hyperparameters_are_plain_and_say_every_argument(model):
    plain = dict(model.hparams)
    assert json.loads(json.dumps(plain)) == plain
    assert set(inspect.signature(type(model)).parameters) == set(plain) - {"_class_path", "_instantiator"}
    assert plain["_class_path"].endswith(type(model).__name__)


def test_hyperparameters_are_nested_class_paths():
    estimator = NESTED[2].hparams["estimator"]
    assert estimator == {
        "class_path": "reparam_suite.estimators.score_function.ScoreFunction",
        "init_args": {
            "num_samples": 3,
            "baseline": {
                "class_path": "reparam_suite.estimators.baselines.VarianceNormalized",
                "init_args": {
                    "baseline": {
                        "class_path": "reparam_suite.estimators.baselines.Learned",
                        "init_args": {"hidden_sizes": [4]},
                    },
                    "decay": 0.99,
                },
            },
        },
    }
    assert NESTED[1].hparams["optimizer"] == {"name": "RAdam", "learning_rate": None, "options": {"betas": [0.8, 0.9]}}


# -------------------------------------------------------------------------------------------------------------- forward


@pytest.mark.parametrize("make", [gaussian, discrete, categorical])
def test_the_forward_pass_has_no_noise_and_decodes_the_mean(make):
    model, x = make(), bits(5, 12)
    first, second = model(x), model(x)
    names = ["loc", "scale"] if isinstance(model, GaussianVAE) else ["logits"]
    assert list(first) == [*names, "probabilities"]
    for name in first:
        assert torch.equal(first[name], second[name])
    q = model.posterior_of(x)
    mean = q.mean.flatten(1)
    assert torch.allclose(first["probabilities"], model.decoder(mean).sigmoid())


def test_the_latents_of_a_categorical_model_enter_the_decoder_flat():
    model = categorical()
    z = model.posterior_of(bits(5, 12)).sample((2,))
    assert z.shape == (2, 5, 3, 4)
    assert model.decoder[0].in_features == 12
    assert torch.equal(model.decode(z), model.decoder(z.reshape(2, 5, 12)))
    assert isinstance(model, DiscreteVAE)
    assert isinstance(model.bound, Average)
