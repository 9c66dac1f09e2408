"""The point at which a run resumes: the newest checkpoint that can be read, and what it is checked against."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from torch import Tensor

from reparam_suite.runtime.errors import UsageError
from reparam_suite.training import BEST, HEADER, LAST, PREVIOUS, CheckpointError, DamagedCheckpoint, read_checkpoint

CONFIG = "config.yaml"
RUN_KEY = "run_key"
"""The tag by which a command finds its own run again."""


@final
@dataclass(frozen=True)
class Resumption:
    """A run to resume.

    Args:
        run_id: of the run in MLflow.
        recorded: its configuration, in plain types.
        checkpoint: to resume from; None if the run begins again at step 0.
        content: of the checkpoint.
        finished: whether the run is recorded as FINISHED.
        allow_changes: whether it may resume with other options than it had.
        notes: what the user should know.
        earlier: whether its configuration file is of an earlier version; `recorded` is in the present form.
    """

    run_id: str
    recorded: Mapping[str, Any]
    checkpoint: Path | None
    content: Mapping[str, Any]
    finished: bool
    allow_changes: bool
    notes: tuple[str, ...]
    earlier: bool = False

    @property
    def step(self) -> int:
        """Of the checkpoint."""
        return int(self.content.get("global_step", 0))


def checkpoint_directory(root: Path, run_id: str) -> Path:
    """The directory of a run's checkpoints."""
    return root / "checkpoints" / run_id


def newest_checkpoint(directory: Path, notes: list[str]) -> tuple[Path, dict[str, Any]] | None:
    """The newest checkpoint of a directory that can be read, and its content; a damaged or missing one is noted.

    Raises:
        UsageError: if one is of another format, or would run code.
    """
    gone: list[str] = []
    for name in (LAST, PREVIOUS, BEST):
        path = directory / name
        if not path.exists():
            gone.append(name)
            continue
        if path.is_dir():
            raise UsageError(f"resume: expected a checkpoint {path}, got a directory of this name")
        try:
            content = _whole(read_checkpoint(path), path)
        except DamagedCheckpoint as error:
            notes.append(f"{error}; the one before it is taken")
            continue
        except CheckpointError as error:
            raise UsageError(f"resume: {error}") from error
        if LAST in gone:
            notes.append(f"{directory / LAST} is gone; {name}, of step {content['global_step']}, is taken")
        return path, content
    return None


def given_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint that the user names.

    Raises:
        UsageError: if it cannot be read.
    """
    try:
        return _whole(read_checkpoint(path), path)
    except CheckpointError as error:
        raise UsageError(f"resume: {error}") from error


# The parts of a checkpoint, and the types that they have.
_PARTS: Mapping[str, tuple[type, ...]] = {
    "state_dict": (dict,),
    "epoch": (int,),
    "global_step": (int,),
    "loops": (dict,),
    "callbacks": (dict,),
    "optimizer_states": (list,),
    "lr_schedulers": (list,),
}
_HEADER_PARTS: Mapping[str, tuple[type, ...]] = {"run_id": (str,), "model": (dict,), "data": (dict,)}


def _whole(content: dict[str, Any], path: Path) -> dict[str, Any]:
    # The checksums say that a file is what was written; not that this suite has written it.
    for parts, kinds, where in ((content, _PARTS, ""), (header(content), _HEADER_PARTS, f"{HEADER}.")):
        for name, kind in kinds.items():
            if not isinstance(found := parts.get(name), kind) or isinstance(found, bool):
                got = type(found).__name__ if name in parts else "none"
                raise CheckpointError(f"{path}: expected {where}{name} of type {kind[0].__name__}, got {got}")
    for name, value in content["state_dict"].items():
        if not isinstance(value, Tensor):
            raise CheckpointError(f"{path}: expected a tensor {name} in state_dict, got {type(value).__name__}")
    return content


def check_weights(model: Any, content: Mapping[str, Any], source: object) -> None:
    """Refuses weights of another architecture.

    Raises:
        UsageError: naming the first tensor that differs, with both shapes.
    """
    saved, own = content["state_dict"], model.state_dict()
    for name in dict.fromkeys([*saved, *own]):
        shapes = [_shape(state[name]) if name in state else "absent" for state in (saved, own)]
        if shapes[0] != shapes[1]:
            raise UsageError(f"{source} is of another architecture: {name} is {shapes[0]} there, {shapes[1]} here")


def _shape(value: Any) -> str:
    return str(list(value.shape)) if hasattr(value, "shape") else type(value).__name__


def header(content: Mapping[str, Any]) -> dict[str, Any]:
    """The header of a checkpoint of the suite: the id, model and data of its run."""
    found: dict[str, Any] = content[HEADER]
    return found
