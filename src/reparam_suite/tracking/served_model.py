"""A model of a run as MLflow's python_function: what is stored beside the graphs, and serves them.

A copy of this file goes with every exported model, so that it is served where reparam_suite is not installed: it
imports numpy and torch alone.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

GRAPHS = {"encode": "model.pt2", "decode": "decode.pt2", "sample": "sample.pt2"}
"""Outputs that a served model offers, with the file of the graph of each; "encode" is the model applied to x."""

SHAPES = "shapes.json"
"""The file with the shape of one datum x and of one latent z."""

DEFAULTS = {"output": "encode", "num_samples": 1, "seed": -1}
"""The parameters of a prediction: `seed` of samples, where -1 draws others at each call."""


class ServedModel:
    """The graphs of a directory.

    Args:
        directory: with the files of `GRAPHS` that there are, and `SHAPES`.
    """

    def __init__(self, directory: Path) -> None:
        self._shapes: dict[str, list[int]] = json.loads((directory / SHAPES).read_text(encoding="utf-8"))
        files = {name: directory / file for name, file in GRAPHS.items() if (directory / file).is_file()}
        self._graphs = {name: torch.export.load(file).module() for name, file in files.items()}

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> Any:
        """The outputs that `output` names, as an array, or arrays by name.

        encode: x `[B, *datum]` or one datum, of any type of numbers -> the parameters of q(z|x) and `reconstruction`.
        decode: z `[B, *event]` or one latent -> E[x|z]. sample: E[x|z] of `num_samples` draws of z from the prior,
        whatever the input.

        Raises:
            ValueError: if a parameter or the shape of the input is none of these.
        """
        given = {**DEFAULTS, **(params or {})}
        output = given["output"]
        if output not in self._graphs:
            raise ValueError(f"output: expected one of {', '.join(self._graphs)}, got {output!r}")
        with torch.no_grad():
            if output == "sample":
                return self._samples(int(given["num_samples"]), int(given["seed"]))
            name = "x" if output == "encode" else "z"
            rows, single = self._rows(name, model_input)
            return _arrays(self._graphs[output](rows), single=single)

    def _samples(self, num_samples: int, seed: int) -> Any:
        if num_samples < 1:
            raise ValueError(f"num_samples: expected at least 1, got {num_samples}")
        with torch.random.fork_rng(enabled=seed >= 0):
            if seed >= 0:
                torch.manual_seed(seed)
            return _arrays(self._graphs["sample"](torch.zeros(num_samples)), single=False)

    def _rows(self, name: str, given: Any) -> tuple[Tensor, bool]:
        values = np.asarray(given.to_numpy() if hasattr(given, "to_numpy") else given)
        shape = self._shapes[name]
        try:
            rows = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name}: expected numbers of shape {[-1, *shape]}, got {values.dtype}") from error
        single = list(rows.shape) == shape
        if not single and list(rows.shape[1:]) != shape:
            raise ValueError(f"{name}: expected shape {[-1, *shape]} or {shape}, got {list(rows.shape)}")
        return (rows[None] if single else rows), single


def _arrays(made: Any, *, single: bool) -> Any:
    if isinstance(made, Mapping):
        return {name: _arrays(value, single=single) for name, value in made.items()}
    if isinstance(made, tuple | list):
        return [_arrays(value, single=single) for value in made]
    return (made[0] if single else made).numpy()


def _load_pyfunc(path: str, model_config: object = None) -> ServedModel:  # noqa: ARG001 - MLflow calls it so
    return ServedModel(Path(path))
