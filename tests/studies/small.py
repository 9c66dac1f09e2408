"""Study files that take seconds."""

from pathlib import Path
from typing import Any

import yaml

BASE = {
    "model": {"class_path": "DiscreteVAE", "init_args": {"latent_size": 4, "hidden_sizes": [8]}},
    "data": {"class_path": "Digits", "init_args": {"batch_size": 300}},
}


def study_file(directory: Path, **settings: Any) -> str:
    """A study file beside its base run."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "base.yaml").write_text(yaml.safe_dump(BASE))
    content = {"name": "small", "base": "base.yaml", "budget": {"steps": 6}, "trials": 3} | settings
    file = directory / "study.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    return str(file)


def several(option: str, values: list[Any]) -> dict[str, Any]:
    """Settings of a study that takes each of two values at least once."""
    return {
        "space": {option: {"categorical": values}},
        "sampler": {"name": "RandomSampler", "options": {"seed": 1}},
        "trials": 4,
    }
