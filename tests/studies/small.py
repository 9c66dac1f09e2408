"""Study files that take seconds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from tests.launching import study

BASE = {
    "model": {"class_path": "DiscreteVAE", "init_args": {"latent_size": 4, "hidden_sizes": [8]}},
    "data": {"class_path": "Digits", "init_args": {"batch_size": 300}},
}

RATE = {"model.learning_rate": {"log_float": [1e-3, 1e-1]}}


def study_file(directory: Path, *, callbacks: Sequence[Mapping[str, Any]] = (), **settings: Any) -> str:
    """A study file beside its base run, which has callbacks of Lightning."""
    directory.mkdir(parents=True, exist_ok=True)
    base = {**BASE, "trainer": {"callbacks": [*callbacks]}} if callbacks else BASE
    (directory / "base.yaml").write_text(yaml.safe_dump(base))
    content = {"name": "small", "base": "base.yaml", "budget": {"steps": 6}, "trials": 3} | settings
    file = directory / "study.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    return str(file)


def refused(directory: Path, *args: str, **settings: Any) -> str:
    """The one line that the command ends with, before it has created anything."""
    file = study_file(directory, **({"space": RATE} | settings))
    ended = study("--config", file, *args, root=directory / "mlruns")
    assert ended.code == 2
    assert ended.err.count("\n") == 1, ended.err
    assert not (directory / "mlruns").exists()
    return ended.err


def several(option: str, values: list[Any]) -> dict[str, Any]:
    """Settings of a study that takes each of two values at least once."""
    return {
        "space": {option: {"categorical": values}},
        "sampler": {"name": "RandomSampler", "options": {"seed": 1}},
        "trials": 4,
    }
