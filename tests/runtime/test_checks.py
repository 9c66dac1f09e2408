"""Checks of constructor arguments: what is taken, and the error of what is not."""

import math

import numpy as np
import pytest

from reparam_suite import Run
from reparam_suite.data import Digits
from reparam_suite.distributions import FactorizedCategorical, NormalLikelihood, StandardNormal
from reparam_suite.models import DiscreteVAE, GaussianVAE, OptimizerSettings
from reparam_suite.networks import MLP
from reparam_suite.objectives import ELBO
from reparam_suite.runtime import checks
from reparam_suite.runtime.errors import ArgumentTypeError, ArgumentValueError
from reparam_suite.training import CheckpointSettings, GradientVariance, RecordSettings


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3)])
def test_integers_are_taken_as_python_numbers(value):
    assert type(checks.integer("n", value, least=3)) is int


@pytest.mark.parametrize("value", [3.0, "3", None, True, np.float32(3), np.bool_(True), [3]])
def test_what_is_no_integer_is_a_type_error(value):
    with pytest.raises(ArgumentTypeError, match="n: expected an integer of at least 1, got") as error:
        checks.integer("n", value, least=1)
    assert isinstance(error.value, TypeError)


def test_a_number_out_of_range_is_a_value_error():
    with pytest.raises(ArgumentValueError, match="n: expected an integer of at least 1, got 0") as error:
        checks.integer("n", 0, least=1)
    assert isinstance(error.value, ValueError)


@pytest.mark.parametrize(
    ("value", "kind"), [(7, TypeError), ("", ValueError), ("  ", ValueError), ("a\x1b[1m", ValueError)]
)
def test_a_name_can_be_shown(value, kind):
    assert checks.name("name", "grey-digits") == "grey-digits"
    with pytest.raises(kind, match="name: expected a"):
        checks.name("name", value)


def number_of_a_run(**options) -> Run:
    return Run(GaussianVAE, Digits(), **options)


MAKERS = {
    RecordSettings: ["every", "gradients_every", "test_samples", "test_data"],
    CheckpointSettings: ["every_minutes", "every_steps"],
    number_of_a_run: ["seed", "max_steps", "max_epochs"],
    GradientVariance: ["every"],
    ELBO: ["weight", "free_bits", "warmup_steps"],
    MLP: ["hidden_sizes"],
    FactorizedCategorical: ["latent_size", "num_classes"],
    NormalLikelihood: ["scale", "initial_scale", "event_shape"],
    StandardNormal: ["event_shape"],
    GaussianVAE: ["event_shape", "latent_size", "hidden_sizes", "learning_rate"],
    DiscreteVAE: ["num_layers"],
    OptimizerSettings: ["learning_rate"],
    Digits: ["batch_size", "seed"],
}


@pytest.mark.parametrize("wrong", ["4", "0.5", True, [4.5], ["4"], {"a": 1}, math.nan], ids=repr)
@pytest.mark.parametrize(("make", "option"), [(make, option) for make, options in MAKERS.items() for option in options])
def test_every_constructor_checks_type_and_range_of_its_numbers(make, option, wrong):
    with pytest.raises((TypeError, ValueError), match=rf"^[\w.]*{option}.*: expected .*, got "):
        make(**{option: wrong})


@pytest.mark.parametrize(
    ("make", "option", "value"),
    [
        (RecordSettings, "every", np.int64(7)),
        (CheckpointSettings, "every_minutes", np.float32(0.5)),
        (number_of_a_run, "seed", np.int32(3)),
        (ELBO, "weight", np.float64(0.5)),
        (ELBO, "warmup_steps", np.int64(3)),
        (FactorizedCategorical, "num_classes", np.int16(3)),
        (GaussianVAE, "latent_size", np.int64(3)),
        (OptimizerSettings, "learning_rate", np.float32(0.5)),
    ],
)
def test_numbers_of_numpy_are_taken_and_kept_as_pythons(make, option, value):
    kept = getattr(make(**{option: value}), option)
    assert (type(kept), kept) == (type(value.item()), value.item())
