"""Samples and reconstructions along training."""

from collections.abc import Callable
from typing import Any, final

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from reparam_suite.runtime import checks
from reparam_suite.runtime.random_streams import forked_generator
from reparam_suite.training.journal import Journal
from reparam_suite.training.record import StepRecord
from reparam_suite.training.validation import HeldOutCallback

SAMPLES = "samples/step_"
"""The name, but for the step, of the file with samples, `[N, *event]` in uint8 of 0..255."""

MOST_SAMPLES = 8
_MOST_NUMBERS = 2**18  # in all samples of a step: they are kept in every checkpoint
_SEED = 8  # the same noise at every step, and in every run

Show = Callable[[dict[str, Tensor], int], None]
"""Takes images by name, `[N, H, W]` or `[N, 3, H, W]` of intensities, and the step."""


@final
class SampleRecord(HeldOutCallback):
    """Shows what a VAE makes of its prior and of validation data, at validations that are twice as far as the last one.

    Before the first step, after the last, and in between at validations whose step is at least twice that of the one
    before: some fifteen times in ten thousand steps. Generators and training stay as they are. A model without `sample`
    and `reconstruct` has no such record.

    Args:
        journal: keeps the samples.
        record: whose clock is stopped meanwhile.
        show: is given samples and, as data and reconstructions, validation data, or training data where there are none.
        image_shape: of a datum, [H, W], [1, H, W] or [3, H, W].
    """

    def __init__(self, *, journal: Journal, record: StepRecord, show: Show, image_shape: tuple[int, ...]) -> None:
        self._journal = journal
        self._record = record
        self._show = show
        image_shape = checks.checked_shape("image_shape", image_shape)
        self._shape = image_shape[-2:] if len(image_shape) == 3 and image_shape[0] == 1 else image_shape
        self._shown_at = -1

    def state_dict(self) -> dict[str, Any]:
        """The step that was shown last."""
        return {"shown_at": self._shown_at}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continues from a state."""
        self._shown_at = state_dict["shown_at"]

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Shows them, if it is time."""
        step = trainer.global_step
        if not trainer.sanity_checking and (self._shown_at < 0 or step >= max(1, 2 * self._shown_at)):
            self._make(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Shows them after the last step."""
        if self._shown_at < trainer.global_step:
            self._make(trainer, pl_module)

    @torch.no_grad()
    def _make(self, trainer: Trainer, model: Any) -> None:
        self._shown_at = step = trainer.global_step
        if not trainer.is_global_zero or not (hasattr(model, "sample") and hasattr(model, "reconstruct")):
            return
        self._record.pause()
        number = max(1, min(MOST_SAMPLES, _MOST_NUMBERS // torch.Size(self._shape).numel()))
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        batch = data.sample_batch("valid" if data.has("valid") else "train")
        x = batch[0] if isinstance(batch, tuple | list) else batch
        number = min(number, len(x))
        x = x[torch.arange(number) * len(x) // number].to(model.device)
        modes = [(module, module.training) for module in model.modules()]
        model.eval()
        try:
            with forked_generator(model.device, _SEED):
                rows = {"samples": model.sample(number), "data": x, "reconstructions": model.reconstruct(x)}
        finally:
            for module, mode in modes:
                module.training = mode
        images = {name: self._images(values) for name, values in rows.items()}
        self._journal.keep({"samples": (images["samples"] * 255).round().to(torch.uint8)}, f"{SAMPLES}{step}")
        self._show(images, step)

    def _images(self, values: Tensor) -> Tensor:
        return values.float().nan_to_num(0.0).clamp(0.0, 1.0).reshape(-1, *self._shape).cpu()
