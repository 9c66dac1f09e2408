"""Compiled training steps, made from outside of the model."""

from collections.abc import Callable
from functools import wraps
from types import SimpleNamespace
from typing import Any, final

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from reparam_suite.estimators import GradientEstimator
from reparam_suite.training.torch_internals import has_compiler


def compile_options(device: torch.device) -> dict[str, Any]:
    """The options of `torch.compile` for training steps: the random numbers of eager steps, CUDA graphs on a GPU.

    Raises:
        ValueError: if there is nothing to compile with.
    """
    if not has_compiler(device):
        wanted = (
            "Triton, which compiles for the GPU" if device.type == "cuda" else "a C++ compiler, g++ or what CXX names"
        )
        raise ValueError(f"compile: expected {wanted}, got none")
    return {"options": {"fallback_random": True, "triton.cudagraphs": device.type == "cuda"}}


def check_compilable(model: LightningModule) -> None:
    """Refuses a model whose training step cannot be compiled.

    Raises:
        ValueError: if it has several layers of latents, measuring whose KL takes noise of its own, or an objective of
            which may depend on the step and does not say whether it does: it would be compiled anew at each one.
    """
    layers = sum(isinstance(getattr(module, "estimator", None), GradientEstimator) for module in model.modules())
    if layers > 1:
        raise ValueError(f"compile: expected one layer of latents, got num_layers {layers}")
    objective = getattr(model, "objective", None)
    if objective is not None and not hasattr(objective, "record_as") and not hasattr(objective, "weight_at"):
        raise ValueError(
            f"compile: expected an objective with `record_as` or `weight_at(step)`, got {type(objective).__name__}, "
            "which may change with every step"
        )


@final
class CompiledStep(Callback):
    """Compiles the model's training step while it fits; validation, diagnostics and checkpoints stay as they are.

    A step whose KL weight still rises is not compiled: it would be compiled anew at each step.

    Args:
        options: of `torch.compile`; by default those of `compile_options`.

    Raises:
        ValueError: when the fit is set up, as `check_compilable` and `compile_options`.
    """

    def __init__(self, **options: Any) -> None:
        self._options = options
        self._release: Callable[[], None] | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Puts the compiled step in the place of the model's own."""
        if stage == "fit":
            check_compilable(pl_module)
            options = self._options or compile_options(trainer.strategy.root_device)
            self._release = _compile(pl_module, options)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Gives the model its own step back."""
        self._give_back()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Gives the model its own step back."""
        self._give_back()

    def _give_back(self) -> None:
        if self._release is not None:
            self._release()
            self._release = None


def _compile(model: LightningModule, options: dict[str, Any]) -> Callable[[], None]:
    original = model.training_step
    held = _hold_steps(model)
    compiled = torch.compile(original, dynamic=False, **options)

    @wraps(original)
    def training_step(batch: Any, batch_idx: int) -> Any:
        if _weight_changes(model):
            return original(batch, batch_idx)
        if held.first is None:
            held.first = model.steps_taken if hasattr(model, "steps_taken") else 0
        held.step = held.first  # from there on no objective depends on it
        try:
            outputs = compiled(batch, 0)
        finally:
            held.step = None
        if not isinstance(outputs, dict):
            return outputs
        # CUDA graphs write the next step's values to the same place.
        return {name: value if name == "loss" else _cloned(value) for name, value in outputs.items()}

    own_class = type(model)
    model.training_step = training_step  # type: ignore[method-assign]

    def release() -> None:
        del model.training_step
        model.__class__ = own_class.__bases__[0]

    return release


def _hold_steps(model: LightningModule) -> SimpleNamespace:
    # The number of steps is read within a step, and each value of it would be compiled. A property can be replaced in a
    # class alone: that of this one object, under the same name.
    held = SimpleNamespace(step=None, first=None)
    cls = type(model)

    def steps_taken(self: Any) -> int:
        own: Any = super(held_class, self)
        steps: int = own.steps_taken if held.step is None else held.step
        return steps

    body: dict[str, Any] = {"steps_taken": property(steps_taken)} if hasattr(cls, "steps_taken") else {}
    body |= {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__}
    held_class = type(cls.__name__, (cls,), body)
    model.__class__ = held_class
    return held


def _weight_changes(model: LightningModule) -> bool:
    weight_at = getattr(getattr(model, "objective", None), "weight_at", None)
    if weight_at is None:
        return False
    return bool(weight_at(model.steps_taken) != weight_at(2**62))


def _cloned(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value
