"""A torch module in MLflow's format, as a traced graph: no pickle, and no code of ours to load it."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from reparam_suite.tracking.mlflow_internals import unlisted_packages

if TYPE_CHECKING:
    from mlflow.models import ModelSignature


def save(module: nn.Module, example: Tensor, path: Path) -> None:
    """Writes `module` to the new directory `path`, traced on the CPU in eval mode with a free batch size.

    Args:
        module: x [B, *event] -> a tensor, or a mapping or tuple of tensors; deterministic.
        example: [B, *event]; kept as the model's input example. Its values do not matter to the graph.
        path: the directory to create.
    """
    import mlflow.pytorch
    from mlflow.models import Model

    # A batch of one would be taken for a constant by torch.export.
    example = torch.cat([example, example] if len(example) == 1 else [example]).detach().cpu()
    description = Model()
    with _on_cpu_in_eval_mode(module), unlisted_packages(), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outputs = module(example)
        mlflow.pytorch.save_model(
            module,
            str(path),
            mlflow_model=description,
            input_example=example.numpy(),
            signature=_signature(example, outputs),
            serialization_format="pt2",
            pip_requirements=_requirements(),  # given, since inferring them runs the model in another process: 10 s
        )
    if not isinstance(outputs, Tensor):
        # MLflow's generic flavour serves models with a single output; to promise it for others would be wrong.
        description.flavors.pop("python_function", None)
        description.save(str(path / "MLmodel"))


def _requirements() -> list[str]:
    # Without the local part: 2.13.0+cpu is on no index.
    return [f"{package}=={version(package).split('+')[0]}" for package in ("mlflow", "numpy", "torch")]


def _signature(example: Tensor, outputs: Any) -> "ModelSignature":
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    def spec(tensor: Tensor, name: str | None = None) -> TensorSpec:
        return TensorSpec(tensor.numpy().dtype, (-1, *tensor.shape[1:]), name)

    results: list[ColSpec | TensorSpec]
    if isinstance(outputs, Mapping):
        results = [spec(tensor, name) for name, tensor in outputs.items()]
    elif isinstance(outputs, Tensor):
        results = [spec(outputs)]
    else:
        results = [spec(tensor, f"output_{index}") for index, tensor in enumerate(outputs)]
    return ModelSignature(inputs=Schema([spec(example)]), outputs=Schema(results))


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
