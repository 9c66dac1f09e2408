"""Options of a run that resumes, held to their effect: those that would have none are refused with the reason."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from reparam_suite.models import EstimatorModule
from reparam_suite.running.assembly import Assembly
from reparam_suite.running.resumption import Resumption
from reparam_suite.runtime.construction import construct
from reparam_suite.runtime.errors import SuiteError, UsageError
from reparam_suite.runtime.plain_data import plain
from reparam_suite.runtime.random_streams import forked_generator

_SEEDS = (1, 2)


def check_effects(parts: Assembly, before: Any, changes: Mapping[str, str]) -> None:
    """Refuses changes that the state of the checkpoint would undo.

    Args:
        parts: of the run as it is asked for.
        before: the model as it was; None where it cannot be made from the record.
        changes: options by dotted key.

    Raises:
        UsageError: naming the options.
    """
    if "seed" in changes:
        raise UsageError(
            f"--seed {changes['seed']}: the random streams are on record and continue as they were, expected the seed "
            "that the run had"
        )
    of_model = [key for key in changes if key.startswith("model.")]
    own = getattr(type(parts.model), "configure_optimizers", None) is not EstimatorModule.configure_optimizers
    if own and (named := [key for key in of_model if {"learning_rate", "optimizer", "lr"} & set(key.split("."))]):
        raise UsageError(
            f"{_listed(named, changes)}: {type(parts.model).__name__} makes its optimizers itself, and their state is "
            "on record with its learning rate; expected the options that the run had"
        )
    if before is not None and (tensors := _set_at_the_beginning(before, parts.model)):
        roots = {name.partition(".")[0] for name in tensors}
        named = [key for key in of_model if roots & set(key.split("."))] or of_model
        raise UsageError(
            f"{_listed(named, changes)}: it sets what training begins with ({', '.join(tensors)}), and this run has "
            "begun; expected the options that it had"
        )


def recorded_model(parts: Assembly, resumption: Resumption) -> Any:
    """The model of a run as it was, with fresh weights; None where it cannot be made from the record.

    Beside the suite's, its classes may be of the modules that the present model is made of.
    """
    allow = {type(module).__module__ for module in parts.model.modules()}
    try:
        with forked_generator(torch.device("cpu")):
            return construct(resumption.recorded["model"], allow=allow)
    except (SuiteError, ValueError, TypeError):
        return None


def _set_at_the_beginning(before: Any, after: Any) -> list[str]:
    # Tensors whose first value comes from an option and no generator, and from another option now.
    was, now = (list(map(_first_state, [plain(model)] * len(_SEEDS), _SEEDS)) for model in (before, after))
    if not all([*was, *now]):
        return []
    return [
        name
        for name, value in now[0].items()
        if name in was[0]
        and _equal(value, now[1][name])
        and _equal(was[0][name], was[1][name])
        and not _equal(value, was[0][name])
    ]


def _first_state(description: Any, seed: int) -> dict[str, Tensor]:
    allow = _modules(description)
    try:
        with forked_generator(torch.device("cpu"), seed):
            state = construct(description, allow=allow).state_dict()
    except (SuiteError, ValueError, TypeError):
        return {}
    return {name: value for name, value in state.items() if isinstance(value, Tensor)}


def _modules(data: Any) -> set[str]:
    # Of an object that has been made: its classes are imported.
    if isinstance(data, Mapping):
        own = {path.rpartition(".")[0] for path in [data.get("class_path")] if isinstance(path, str)}
        return own.union(*map(_modules, data.values()))
    return set().union(*map(_modules, data)) if isinstance(data, list) else set()


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one, other)


def _listed(keys: Iterable[str], changes: Mapping[str, str]) -> str:
    return "; ".join(f"--{key} {changes[key]}" for key in keys)
