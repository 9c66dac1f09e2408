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

INPUTS = "inputs.json"
"""The file with the shape of one datum x and of one latent z, and what integers x stand for: see `ServedModel`."""

DEFAULTS = {"output": "encode", "num_samples": 1, "seed": -1}
"""The parameters of a prediction: `seed` of samples, where -1 draws others at each call."""


class ServedModel:
    """The graphs of a directory.

    Integers x are divided by `divisor`, where the model was trained on data that were: 0..255 are then intensities in
    [0, 1]. Floating-point numbers are taken as they are, and so are integers of 0 and 1 alone where `binarized` says
    that the model was trained on bits that were drawn from the intensities.

    Args:
        directory: with the files of `GRAPHS` that there are, and `INPUTS`.
    """

    def __init__(self, directory: Path) -> None:
        inputs = json.loads((directory / INPUTS).read_text(encoding="utf-8"))
        self._shapes: dict[str, list[int]] = inputs["shapes"]
        self._divisor: int | None = inputs["divisor"]
        self._binarized: bool = inputs["binarized"]
        files = {name: directory / file for name, file in GRAPHS.items() if (directory / file).is_file()}
        self._graphs = {name: torch.export.load(file).module() for name, file in files.items()}

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> Any:
        """The outputs that `output` names, as an array, or arrays by name.

        encode: x `[B, *datum]` or one datum, of any real numbers -> the parameters of q(z|x) and `reconstruction`.
        decode: z `[B, *event]` or one latent -> E[x|z]. sample: E[x|z] of `num_samples` draws of z from the prior,
        whatever the input.

        Raises:
            ValueError: if a parameter or the shape of the input is none of these, there are no data, or the input is
                not finite or out of the range of the integers.
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
        values, shape = _real_numbers(name, given), self._shapes[name]
        single = list(values.shape) == shape
        if not single and list(values.shape[1:]) != shape:
            raise ValueError(f"{name}: expected shape {[-1, *shape]} or {shape}, got {list(values.shape)}")
        if not values.size:
            raise ValueError(f"{name}: expected at least one row, got shape {list(values.shape)}")
        divisor = self._divisor_of(values) if name == "x" else None
        with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite and is refused
            rows = torch.from_numpy(np.array(values, dtype=np.float32, order="C"))
        if not rows.isfinite().all():
            raise ValueError(f"{name}: expected finite float32 numbers, got NaN or infinity")
        rows = rows if divisor is None else rows / divisor
        return (rows[None] if single else rows), single

    def _divisor_of(self, x: np.ndarray[Any, np.dtype[Any]]) -> int | None:
        if self._divisor is None or x.dtype.kind not in "iu":
            return None
        least, greatest = int(x.min()), int(x.max())
        if least < 0 or greatest > self._divisor:
            raise ValueError(
                f"x: expected integers from 0 to {self._divisor}, or intensities in floating point, "
                f"got {least} to {greatest}"
            )
        return None if self._binarized and greatest <= 1 else self._divisor


def _real_numbers(name: str, given: Any) -> np.ndarray[Any, np.dtype[Any]]:
    try:
        values = np.asarray(given.to_numpy() if hasattr(given, "to_numpy") else given)
        if values.dtype.kind == "O":  # numbers in the guise of objects
            values = np.asarray(values.tolist())
    except (TypeError, ValueError) as error:  # rows of unequal length
        raise ValueError(f"{name}: expected an array of real numbers, got {' '.join(str(error).split())}") from error
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{name}: expected real numbers, got {values.dtype}")
    return values


def _arrays(made: Any, *, single: bool) -> Any:
    if isinstance(made, Mapping):
        return {name: _arrays(value, single=single) for name, value in made.items()}
    if isinstance(made, tuple | list):
        return [_arrays(value, single=single) for value in made]
    return (made[0] if single else made).numpy()


def _load_pyfunc(path: str, model_config: object = None) -> ServedModel:  # noqa: ARG001 - MLflow calls it so
    return ServedModel(Path(path))
