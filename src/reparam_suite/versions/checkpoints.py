"""Checkpoints of earlier formats, brought up to the present one step by step."""

from collections.abc import Callable, Mapping
from typing import Any

import torch

from reparam_suite.runtime.plain_data import CLASS_PATH, INIT_ARGS
from reparam_suite.versions.callbacks import callback_states
from reparam_suite.versions.classes import renamed
from reparam_suite.versions.errors import EarlierVersionError
from reparam_suite.versions.models import model_description
from reparam_suite.versions.weights import Names, optimizer_state

HEADER = "reparam_suite"

OLDEST, PRESENT = 2, 4
"""The formats of version 0.1.0 and of this one. No version wrote format 3."""


def is_earlier_checkpoint(content: Any) -> bool:
    """Whether a checkpoint of a run is of a format that is brought up to the present one."""
    header = content.get(HEADER) if isinstance(content, Mapping) else None
    return isinstance(header, Mapping) and type(number := header.get("format")) is int and number in _STEPS


def present_checkpoint(content: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint in the present format, step by step; one that is not of an earlier format comes back as it is.

    Format 2 had no digest of its structure. Shapes of weights are compared with those of the model where they are
    loaded, those of an optimizer's moments where the run resumes.

    Raises:
        EarlierVersionError: if it has not the parts that version 0.1.0 wrote.
    """
    while is_earlier_checkpoint(content):
        try:
            content = _STEPS[content[HEADER]["format"]](content)
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
            if isinstance(error, EarlierVersionError):
                raise
            raise EarlierVersionError(f"expected a checkpoint as version 0.1.0 wrote it, got {error!r:.200}") from error
    return content


def _from_2(content: dict[str, Any]) -> dict[str, Any]:
    # Version 0.1.0: models were made of sizes alone, and data were of the suite.
    options = {key: value for key, value in content["hyper_parameters"].items() if not key.startswith("_")}
    recorded = {CLASS_PATH: content["hyper_parameters"]["_class_path"], INIT_ARGS: options}
    model, names, header = model_description(recorded), Names(options), content[HEADER]
    weights = {names.of(name): tensor for name, tensor in content["state_dict"].items()}
    weights.pop(None, None)
    arrays = names.of_arrays(content["state_dict"])
    return {
        **{key: value for key, value in content.items() if key != "hparams_name"},
        "state_dict": {"_extra_state": torch.tensor(content["global_step"]), **weights},
        "optimizer_states": [optimizer_state(state, options) for state in content["optimizer_states"]],
        "callbacks": callback_states(content["callbacks"], arrays),
        "hyper_parameters": {"_class_path": model[CLASS_PATH], **model[INIT_ARGS]},
        HEADER: {
            **header,
            "format": PRESENT,
            "model": model,
            "data": renamed(header["data"]),
            "digest": None,
            "order": {},
        },
    }


_STEPS: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = {OLDEST: _from_2}
"""By the format that is read."""
