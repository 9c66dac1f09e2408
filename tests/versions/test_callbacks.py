"""States of the callbacks of version 0.1.0."""

import math
from typing import Any

import pytest
import torch

from reparam_suite.training import Checkpoints, Journal, StepRecord
from reparam_suite.versions.callbacks import best_recorded, callback_states


def curve(*points: tuple[int, float]) -> tuple[torch.Tensor, torch.Tensor]:
    steps, values = zip(*points, strict=True)
    return torch.tensor(steps), torch.tensor(values, dtype=torch.float64)


def states(name: str = "elbo", weights: tuple[float, ...] = (1.0, 1.0), *, kl: bool = True) -> dict[str, Any]:
    number = len(weights)
    arrays = {"gradients/element_variances/step_1": {"encoder/0.weight": torch.ones(2), "loc": torch.ones(3)}}
    curves = {"val/elbo": curve((0, -9.0), (4, -7.0)), f"train/{name}": curve((1, -8.0))}
    return {
        "StepRecord": {
            "journal": {"curves": curves, "arrays": arrays},
            "recorded_at": 4,
            "seconds": 0.5,
            "number": [*range(5, 5 + number)],
            "objective": torch.full((number,), -6.0) if number else None,
            "kl": torch.ones(number) if kl and number else None,
            "kl_weight": [*weights],
            "num_rows": [100] * number,
        },
        "GradientRecord": {"measured_at": 4},
        "PathRecord": {"num_steps": 2},
        "Checkpoints": {"best": -7.0, "random": []},
        "Timer": {"of": "a user"},
    }


def test_the_callbacks_of_this_version_take_the_states():
    found = callback_states(states(), {"encoder/0.weight": "encoder/network.0.weight"})
    journal, checkpoints = Journal(), Checkpoints(monitor="val/elbo")
    record = StepRecord(every=4, journal=journal, checkpoints=checkpoints)
    record.load_state_dict(found["StepRecord"])
    assert record.state_dict()["name"] == ["elbo", "elbo"]
    assert journal.latest("val/elbo") == -7.0
    assert best_recorded({"callbacks": found}) == {"val/elbo_best": (4, -7.0), "val/elbo_best_step": (4, 4.0)}
    assert set(journal.arrays["gradients/element_variances/step_1"]) == {"encoder/network.0.weight", "loc"}
    checkpoints.load_state_dict(found["Checkpoints"])
    assert (checkpoints.best, checkpoints.has_best) == (-7.0, True)
    assert (found["Validation"], found["SampleRecord"]) == ({"validated_at": 4}, {"shown_at": 4})
    assert found["GradientRecord"]["measured_at"] == 4
    assert found["Timer"] == {"of": "a user"}


@pytest.mark.parametrize(
    ("name", "weights", "kl", "expected"),
    [
        ("elbo", (0.5, 1.0), True, ["objective", "elbo"]),
        ("relaxed_elbo", (0.5, 1.0), True, ["relaxed_objective", "relaxed_elbo"]),
        ("bound_5", (1.0, 1.0), False, ["bound_5", "bound_5"]),
        ("elbo", (), True, []),
    ],
)
def test_steps_that_are_not_yet_recorded_have_the_name_that_they_have_now(name, weights, kl, expected):
    found = callback_states(states(name, weights, kl=kl), {})["StepRecord"]
    assert found["name"] == expected
    assert found["has_kl"] == [kl] * len(weights) if weights else found["has_kl"] == []


def test_without_a_best_value_nothing_is_recorded_of_it():
    before = states()
    before["Checkpoints"]["best"] = -math.inf
    assert best_recorded({"callbacks": callback_states(before, {})}) == {}
    assert best_recorded({}) == {}
