"""States of the callbacks of version 0.1.0, as their successors take them."""

from collections.abc import Mapping
from typing import Any

import torch

MONITOR = "val/elbo"
"""The metric by which version 0.1.0 kept the best weights."""

_BEST = (f"{MONITOR}_best", f"{MONITOR}_best_step")

_NO_TIME = {"spent": 0.0, "longest": 0.0, "rest": 0.0, "said": False}


def callback_states(states: Mapping[str, Any], arrays: Mapping[str, str]) -> dict[str, Any]:
    """The states by the callback's class.

    Args:
        states: as version 0.1.0 wrote them.
        arrays: present names of arrays that are recorded for each parameter, by their earlier ones.
    """
    record = states["StepRecord"]
    curves, validated_at = record["journal"]["curves"], _last_step(record["journal"]["curves"])
    best = _best(curves, states["Checkpoints"]["best"])
    return {
        **states,  # those of callbacks that a user has added too
        "StepRecord": _steps(record, _name(curves), arrays, best),
        "Validation": {"validated_at": validated_at},
        "SampleRecord": {"shown_at": validated_at},
        "GradientRecord": {**states["GradientRecord"], "budget": dict(_NO_TIME)},
        "Checkpoints": {**states["Checkpoints"], "monitor": MONITOR},
    }


def best_recorded(content: Mapping[str, Any]) -> dict[str, tuple[int, float]]:
    """Step and value of what this version records of the best weights, by name, from a checkpoint of its format."""
    curves = content["callbacks"]["StepRecord"]["journal"]["curves"] if content else {}
    return {name: (int(curves[name][0][-1]), float(curves[name][1][-1])) for name in _BEST if name in curves}


def _best(curves: Mapping[str, Any], best: float) -> dict[str, Any]:
    # The curves of the best value and its step: one point each, if a validation has that value.
    steps, values = curves.get(MONITOR, ((), ()))
    at = next((int(step) for step, value in zip(steps, values, strict=True) if value == best), None)
    if at is None:
        return {}
    step, points = torch.tensor([at]), torch.tensor([best, float(at)], dtype=torch.float64)
    return {name: (step, point) for name, point in zip(_BEST, points.split(1), strict=True)}


def _last_step(curves: Mapping[str, Any]) -> int:
    return int(curves[MONITOR][0][-1]) if MONITOR in curves else -1


def _name(curves: Mapping[str, Any]) -> str:
    """The name of the training objective on record: the first step is always recorded."""
    names = (name.removeprefix("train/") for name in curves if name.startswith("train/"))
    return next((name for name in names if name.endswith("elbo") or name.startswith("bound_")), "elbo")


def _steps(record: Mapping[str, Any], name: str, arrays: Mapping[str, str], best: Mapping[str, Any]) -> dict[str, Any]:
    numbers, kls = record["number"], record["kl"]
    weighted = f"{name.removesuffix('elbo')}objective"
    journal = record["journal"]
    return {
        "journal": {
            "curves": {**journal["curves"], **best},
            "arrays": {
                file: {arrays.get(key, key): array for key, array in members.items()}
                for file, members in journal["arrays"].items()
            },
        },
        **{key: record[key] for key in ("recorded_at", "seconds", "number", "num_rows", "kl")},
        "name": [name if weight == 1.0 or "bound" in name else weighted for weight in record["kl_weight"]],
        "value": record["objective"],
        "has_kl": [kls is not None] * len(numbers),
        "rates": {},
    }
