"""Tensors of version 0.1.0 under their present names."""

import pytest
import torch

from reparam_suite.runtime.construction import construct
from reparam_suite.versions.models import model_description
from reparam_suite.versions.weights import Names, optimizer_state

SIZES = {"num_features": 6, "observation": "binary", "latent_size": 2, "hidden_sizes": [4]}
STARTS = {"centre_input": True, "initialize_bias": True}
NETWORK = [f"{number}.{kind}" for number in (0, 2) for kind in ("weight", "bias")]
OF_ONE = ["input_mean", *(f"{part}.{name}" for part in ("encoder", "decoder") for name in NETWORK)]
ABOVE = [f"prior_network.{part}.{name}" for part in ("encoder", "decoder") for name in NETWORK]


def family(name: str, **options):
    return {"class_path": f"reparam_suite.variational.posteriors.{name}", "init_args": options}


def of_estimators(name: str, **options):
    return {"class_path": f"reparam_suite.estimators.{name}", "init_args": options}


# The options of a model, and its tensors in version 0.1.0.
CASES = {
    "normal": ({}, [*OF_ONE, "prior_network.natural.loc", "prior_network.natural.log_scale"]),
    "learned": (
        {"prior": "learned", "observation": "real", "posterior": family("FullCovarianceNormal"), **STARTS},
        [*OF_ONE, "likelihood.log_scale", "prior_network.natural.loc", "prior_network.natural.log_scale"],
    ),
    "bits": (
        {
            "posterior": family("FactorizedBernoulli"),
            "num_layers": 3,
            **STARTS,
            "estimator": of_estimators("ScoreFunction", baseline=of_estimators("MovingAverage")),
        },
        [
            *OF_ONE,
            *ABOVE,
            *(f"prior_network.{name}" for name in ABOVE),
            "prior_network.prior_network.prior_network.natural.logits",
            *(
                f"{layer}estimator.baseline.past.{name}"
                for layer in ("", "prior_network.", "prior_network.prior_network.")
                for name in ("average", "weight")
            ),
        ],
    ),
    "classes": (
        {"posterior": family("FactorizedCategorical", num_classes=3), "num_layers": 2, **STARTS},
        [*OF_ONE, *ABOVE, "prior_network.prior_network.natural.logits"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_names_are_those_of_the_present_model(case):
    options, before = CASES[case]
    options = SIZES | options
    name = "DiscreteVAE" if "Factorized" in str(options.get("posterior")) else "GaussianVAE"
    model = construct(model_description({"class_path": name, "init_args": options}))
    present = [Names(options).of(tensor) for tensor in before]
    found = [name for name in present if name is not None]
    assert len(set(found)) == len(found)
    assert set(found) == set(model.state_dict()) - {"_extra_state"}
    dropped = {tensor for tensor, name in zip(before, present, strict=True) if name is None}
    expected = {"input_mean", "prior_network.natural.loc", "prior_network.natural.log_scale"}
    assert dropped == (expected if case == "normal" else set())


def test_arrays_of_each_parameter_have_its_present_name_within_the_part():
    options, before = CASES["classes"]
    arrays = Names(SIZES | options).of_arrays(dict.fromkeys(before))
    assert arrays["encoder/0.weight"] == "encoder/network.1.0.weight"
    assert arrays["decoder/0.weight"] == "decoder/network.0.1.weight"
    assert arrays["encoder/encoder.2.bias"] == "encoder/posterior.network.3.bias"
    assert arrays["prior/prior_network.natural.logits"] == "prior/prior.logits"


def state(number: int, rate: float) -> dict:
    moments = {each: {"step": torch.tensor(1.0), "exp_avg": torch.full((2,), rate)} for each in range(number)}
    return {"state": moments, "param_groups": [{"lr": rate, "params": [*range(number)]}]}


def test_one_optimizer_stays_as_it_is():
    assert optimizer_state(state(3, 0.1), {})["param_groups"][0]["params"] == [0, 1, 2]


def test_parts_of_the_same_settings_are_one_optimizer():
    found = optimizer_state({"model": state(2, 0.1), "prior": state(1, 0.2), "control": state(2, 0.3)}, {})
    assert found["param_groups"] == [{"lr": 0.1, "params": [0, 1, 2, 3, 4]}]
    assert [found["state"][number]["exp_avg"][0].item() for number in range(5)] == pytest.approx(
        [0.1, 0.1, 0.2, 0.3, 0.3]
    )


def test_parts_of_different_settings_have_one_each_under_the_names_of_the_parts():
    sgd = {"name": "SGD", "learning_rate": 0.5, "options": {}}
    parts = {"model": state(2, 0.1), "prior": state(1, 0.5), "control": state(1, 0.1)}
    found = optimizer_state(parts, {"optimizer": {"name": "Adam"}, "prior_optimizer": sgd})
    assert {name: part["param_groups"][0]["params"] for name, part in found.items()} == {
        "encoder, decoder, control": [0, 1, 2],
        "prior": [0],
    }
