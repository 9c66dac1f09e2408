"""Whether a run that is stopped and resumed is the run that is not: what is compared, and what differs."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from reparam_suite.tracking import Store
from reparam_suite.training import HEADER

# What a clock or the machine has a part in.
_TIMED = re.compile(r"time/|memory/|cost/(ms_per_gradient|peak_mib)|grad/.*/work_normalized_variance")
_TIMED_STATE = ("journal", "seconds", "budget")
_NONDETERMINISTIC = re.compile(r"^(\S+) does not have a deterministic implementation")


@final
@dataclass(frozen=True)
class Compared:
    """One kind of state, compared.

    Args:
        what: is compared.
        count: of the values, tensors or points.
        difference: the first one and its size; None where all are bitwise identical.
    """

    what: str
    count: int
    difference: str | None = None

    def __str__(self) -> str:
        found = f"{self.count} identical" if self.difference is None else f"differ: {self.difference}"
        return f"{self.what:<16}{found}"


def compared_states(whole: Mapping[str, Any], resumed: Mapping[str, Any]) -> list[Compared]:
    """The checkpoints of two runs: parameters, optimizer, random streams, batches, and the state of everything else."""
    kinds: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    for content, index in ((whole, 0), (resumed, 1)):
        for path, value in _leaves({key: content[key] for key in content if key not in (HEADER, "hyper_parameters")}):
            if path[0] == "callbacks" and path[1] not in whole["callbacks"]:
                continue  # it draws, and only the run that is resumed by the command is drawn
            if (kind := _kind(path)) is not None:
                kinds.setdefault(kind, ({}, {}))[index][" ".join(map(str, path))] = value
    order = ("parameters", "optimizer", "random streams", "batches", "callbacks")
    return [_compared(kind, *kinds[kind]) for kind in order if kind in kinds]


def compared_metrics(store: Store, whole: str, resumed: str) -> Compared:
    """All points of all metrics of the run that was not stopped, save those of clock and memory."""
    curves = []
    for run_id in (whole, resumed):
        names = [name for name in store.run(run_id).data.metrics if not _TIMED.match(name)]
        curves.append({f"{name} at {step}": value for name in names for step, value in store.history(run_id, name)})
    first, second = curves
    return _compared("metrics", first, {name: value for name, value in second.items() if name in first})


def nondeterministic_operations(warned: Sequence[str]) -> list[str]:
    """The operations that torch has named in warnings under `use_deterministic_algorithms(True, warn_only=True)`."""
    found = (_NONDETERMINISTIC.match(message) for message in warned)
    return sorted({match[1] for match in found if match is not None})


def _kind(path: tuple[str | int, ...]) -> str | None:
    head = path[0]
    if head == "state_dict":
        return "parameters"
    if head in ("optimizer_states", "lr_schedulers"):
        return "optimizer"
    if head == "callbacks":
        if any(part in _TIMED_STATE for part in path):
            return None
        return "random streams" if "random" in path else "callbacks"
    return "batches"


def _leaves(content: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if isinstance(content, Mapping):
        members: Any = content.items()
    elif isinstance(content, list | tuple):
        members = enumerate(content)
    else:
        yield path, content
        return
    for key, value in members:
        yield from _leaves(value, (*path, key))


def _compared(what: str, whole: Mapping[str, Any], resumed: Mapping[str, Any]) -> Compared:
    for name in dict.fromkeys([*whole, *resumed]):
        if name not in whole or name not in resumed:
            return Compared(what, len(whole), f"{name} is only in the run that was {_where(name in whole)}")
        if (size := _difference(whole[name], resumed[name])) is not None:
            return Compared(what, len(whole), f"{name} by {size}")
    return Compared(what, len(whole))


def _where(in_whole: bool) -> str:
    return "not stopped" if in_whole else "stopped"


def _difference(a: Any, b: Any) -> str | None:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        if a.shape != b.shape:
            return f"shapes {list(a.shape)} and {list(b.shape)}"
        if torch.equal(a, b):
            return None
        return f"{(a.double() - b.double()).abs().max().item():.3g} at most"
    if a == b or (a != a and b != b):
        return None
    if isinstance(a, float) and isinstance(b, float):
        return f"{abs(a - b):.3g}"
    return f"{a!r:.80} and {b!r:.80}"
