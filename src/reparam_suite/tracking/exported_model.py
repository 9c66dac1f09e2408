"""A torch module in MLflow's format, as traced graphs: no pickle, and nothing of the suite's to install for it."""

import json
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from reparam_suite.tracking import served_model
from reparam_suite.tracking.mlflow_internals import unlisted_packages
from reparam_suite.tracking.served_model import DEFAULTS, GRAPHS, INPUTS

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

_LOADER = "reparam_suite_served_model"


Graph = tuple[nn.Module, Tensor]
"""A module to trace, and an example of what it takes."""


def save_model(
    module: nn.Module,
    example: Tensor,
    path: Path,
    *,
    divisor: int | None = None,
    binarized: bool = False,
    **further: Graph,
) -> None:
    """Writes `module` to the new directory `path`, traced on the CPU in eval mode with a free batch size.

    `mlflow.pytorch.load_model` gives the graph of `module`, which takes numbers of any type as they are.
    `mlflow.pyfunc.load_model` and `mlflow models serve` divide integers, and take one datum as well, and the further
    graphs: see `served_model.ServedModel`.

    Args:
        module: x [B, *event] -> a tensor, or a mapping or tuple of tensors; deterministic.
        example: [B, *event]; kept as the model's input example. Its values do not matter to the graph.
        path: the directory to create.
        divisor: of integers x; None takes them as they are.
        binarized: whether x of the training was drawn from what integers stand for, so that 0 and 1 may be bits.
        further: more to trace, by name: decode and sample.
    """
    import mlflow.pytorch
    from mlflow.models import Model

    example = _example(example)
    description, datum = Model(), ", ".join(map(str, example.shape[1:]))
    of_integers = "" if divisor is None else f"; integers from 0 to {divisor} are divided by {divisor}"
    with _on_cpu_in_eval_mode(module), unlisted_packages(), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outputs = module(example)
        mlflow.pytorch.save_model(
            _AnyNumbers(module),
            str(path),
            mlflow_model=description,
            input_example=example.numpy(),
            signature=_signature(outputs),
            serialization_format="pt2",
            pip_requirements=_requirements(),  # given, since inferring them runs the model in another process: 10 s
            metadata={"input": f"x of numbers of any type, [B, {datum}] or [{datum}]{of_integers}"},
        )
        for name, (graph, of_graph) in further.items():
            exported = torch.export.export(
                _AnyNumbers(graph), (_example(of_graph),), dynamic_shapes=[{0: torch.export.Dim.AUTO}]
            )
            torch.export.save(exported, path / "data" / GRAPHS[name])
    shapes = {"x": list(example.shape[1:])}
    if "decode" in further:
        shapes["z"] = list(further["decode"][1].shape[1:])
    inputs = {"shapes": shapes, "divisor": divisor, "binarized": binarized}
    (path / "data" / INPUTS).write_text(json.dumps(inputs), encoding="utf-8")
    (path / "code").mkdir()
    shutil.copyfile(served_model.__file__, path / "code" / f"{_LOADER}.py")
    description.flavors["python_function"] |= {"loader_module": _LOADER, "data": "data", "code": "code"}
    description.save(str(path / "MLmodel"))


class _AnyNumbers(nn.Module):
    # The module behind a conversion to float32. Tensor.to would be traced as nothing, from float32 to float32.
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Any:
        return self.module(x.new_empty(x.shape, dtype=torch.float32).copy_(x))


def _example(example: Tensor) -> Tensor:
    # A batch of one would be taken for a constant by torch.export.
    return torch.cat([example, example] if len(example) == 1 else [example]).detach().cpu()


def _requirements() -> list[str]:
    # Without the local part: 2.13.0+cpu is on no index.
    return [f"{package}=={version(package).split('+')[0]}" for package in ("mlflow", "numpy", "torch")]


def _signature(outputs: Any) -> "ModelSignature":
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec

    def spec(tensor: Tensor, name: str | None = None) -> TensorSpec:
        return TensorSpec(tensor.numpy().dtype, (-1, *tensor.shape[1:]), name)

    results: list[ColSpec | TensorSpec]
    if isinstance(outputs, Mapping):
        results = [spec(tensor, name) for name, tensor in outputs.items()]
    elif isinstance(outputs, Tensor):
        results = [spec(outputs)]
    else:
        results = [spec(tensor, f"output_{index}") for index, tensor in enumerate(outputs)]
    types = {str: DataType.string, int: DataType.long}
    parameters = [ParamSpec(name, types[type(value)], value) for name, value in DEFAULTS.items()]
    # Of any shape and type: for a stated type MLflow refuses all others before the model sees them.
    anything = Schema([TensorSpec(np.dtype(object), (-1,))])
    return ModelSignature(inputs=anything, outputs=Schema(results), params=ParamSchema(parameters))


@contextmanager
def _on_cpu_in_eval_mode(module: nn.Module) -> Iterator[None]:
    """A graph traced on a GPU cannot be loaded without one."""
    modes = {child: child.training for child in module.modules()}
    device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    module.eval()
    try:
        module.to("cpu")
        yield
    finally:
        module.to(device)
        for child, training in modes.items():
            child.training = training
