"""Compiled training steps: forward and backward pass, gradient clipping and optimizer step as one function."""

import logging
from contextlib import nullcontext
from functools import partial
from typing import Any, final

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from reparam_suite.estimators import GradientEstimator
from reparam_suite.training.compiled_step import Compilation
from reparam_suite.training.journal import Journal
from reparam_suite.training.loop import BatchLoop
from reparam_suite.training.record import StepRecord
from reparam_suite.training.torch_internals import has_compiler

_log = logging.getLogger(__name__)


def compile_options(device: torch.device) -> dict[str, Any]:
    """The options of inductor for training steps: the random numbers of eager steps.

    Raises:
        ValueError: if there is nothing to compile with.
    """
    if not has_compiler(device):
        wanted = (
            "Triton, which compiles for the GPU" if device.type == "cuda" else "a C++ compiler, g++ or what CXX names"
        )
        raise ValueError(f"compile: expected {wanted}, got none")
    return {"fallback_random": True}


def check_compilable(model: LightningModule) -> None:
    """Refuses a model whose training step cannot be compiled.

    Raises:
        ValueError: if it has several layers of latents, measuring whose KL takes noise of its own, an objective of
            which may depend on the step and does not say whether it does, or a training step that is not
            EstimatorModule's.
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

    The first step is not compiled, since the optimizer makes its state in it. The second one is taken both ways: where
    they differ by more than rounding, and where the step is no graph of operations on tensors, a warning and the tag
    `compiled` say why, and the steps stay uncompiled. So are, one by one, batches of another size than most, and steps
    whose KL weight still rises. Nothing is compiled more than once.

    Args:
        journal: that gets the tag, and time/compile_seconds.
        record: whose clock is stopped meanwhile.
        options: of inductor; by default those of `compile_options`.

    Raises:
        ValueError: when the fit is set up, as `check_compilable` and `compile_options`; when it starts, if the trainer
            has no `BatchLoop`, or something acts within a step: it is named.
    """

    def __init__(
        self,
        *,
        journal: Journal | None = None,
        record: StepRecord | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        self._journal = Journal() if journal is None else journal
        self._record = record
        self._options = options
        self._loop: BatchLoop | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Gives the loop what compiles its steps."""
        if stage != "fit":
            return
        check_compilable(pl_module)
        loop = trainer.fit_loop.epoch_loop
        if not isinstance(loop, BatchLoop):
            raise ValueError("compile: expected a trainer that `shorten_loop` was given, got one with Lightning's loop")
        options = compile_options(trainer.strategy.root_device) if self._options is None else self._options
        self._loop = loop
        loop.compilation = Compilation(
            pl_module,
            options,
            told=partial(self._tell, trainer),
            apart=nullcontext if self._record is None else self._record.paused,
        )

    def _tell(self, trainer: Trainer, reason: str | None, seconds: float) -> None:
        if reason is not None:
            _log.warning("the steps are not compiled: %s", reason)
        self._journal.tag({"compiled": "yes" if reason is None else f"no: {reason}"})
        self._journal.write({"time/compile_seconds": seconds}, trainer.global_step)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Takes it back."""
        self._take_back()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Takes it back."""
        self._take_back()

    def _take_back(self) -> None:
        if self._loop is not None:
            self._loop.compilation = None
            self._loop = None
