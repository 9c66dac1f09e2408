"""A step, a validation and a measurement cost what they did: operations, waits for the device, and bytes."""

import json
from pathlib import Path

import pytest
import torch
from tests.golden.costs import MODELS, costs, counted

KEPT: dict[str, dict[str, dict[str, int]]] = json.loads(
    (Path(__file__).parent / "costs.json").read_text(encoding="utf-8")
)
LARGEST_RISE = 1.05


@pytest.fixture(scope="module", params=MODELS)
def model_and_costs(request, tmp_path_factory):
    return request.param, costs(MODELS[request.param], tmp_path_factory.mktemp("costs"))


def test_nothing_has_become_dearer(model_and_costs):
    model, found = model_and_costs
    assert found.keys() == KEPT[model].keys()
    for what, cost in found.items():
        for number, value in cost.items():
            before = KEPT[model][what][number]
            assert value <= LARGEST_RISE * before, (
                f"{what} of {model}: {number} were {before}, are {value}; `make golden` if that is meant"
            )


def test_a_training_step_never_waits_for_the_device(model_and_costs):
    assert model_and_costs[1]["training step"]["waits"] == 0


def test_operations_waits_and_bytes_are_counted():
    x = torch.ones(3, 4)
    with counted() as cost:
        (x + 1.0).view(12).sum().item()
    assert (cost.operations, cost.waits, cost.allocated) == (4, 1, 4 * 12 + 4)
