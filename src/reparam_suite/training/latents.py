"""What the latents are used for, along training and on the test data."""

from collections.abc import Mapping
from typing import Any, Literal, final

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from reparam_suite.diagnostics import LatentUse, latent_use
from reparam_suite.models import VAE
from reparam_suite.runtime.random_streams import forked_generator
from reparam_suite.training.journal import Journal
from reparam_suite.training.record import StepRecord

Stage = Literal["val", "test"]

TEST_FILE = "latents/test"
"""Name of the file with the figures of every latent over the test data."""


@final
class LatentRecord(Callback):
    """Records how the latents are used, over the validation data at every validation and over the test data.

    latent/STAGE/active_units: how many latents differ from datum to datum.
    latent/STAGE/aggregate_kl: KL(q(z_d) || p(z_d)) of the aggregate posterior, summed over latents, in nats.
    latent/STAGE/information: what the latents say about x, KL(q(z_d|x) || p(z_d)) less that, summed, in nats.
    latent/STAGE/code_perplexity: of discrete latents, how many values one takes, the mean over latents.
    latents/test.npz: the same, latent by latent. See `LatentUse`; of several layers it is the top one's.

    Args:
        journal: where to.
        record: whose clock stands still meanwhile.
    """

    def __init__(self, *, journal: Journal, record: StepRecord) -> None:
        self._journal = journal
        self._record = record
        self._use: LatentUse | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Before the first step; a resumed run has been there."""
        if trainer.global_step == 0:
            self._validate(trainer, pl_module)

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Tensor, batch_idx: int, *_: int
    ) -> None:
        """Adds a batch."""
        self._add(pl_module, batch)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning has validated."""
        self._write("val", trainer.global_step)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """After the last step."""
        if self._journal.step_of("latent/val/active_units") != trainer.global_step:
            self._validate(trainer, pl_module)

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Tensor, batch_idx: int, *_: int
    ) -> None:
        """Adds a batch."""
        self._add(pl_module, batch)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning has tested."""
        if figures := self._write("test", trainer.global_step):
            self._journal.keep({name: each for name, each in figures.items() if each.dim()}, TEST_FILE)

    def _validate(self, trainer: Trainer, model: LightningModule) -> None:
        self._record.pause()
        training = model.training
        model.eval()
        for batch in trainer.datamodule.val_dataloader():  # type: ignore[attr-defined]
            self._add(model, batch.to(model.device))
        model.train(training)
        self._write("val", trainer.global_step)

    @torch.no_grad()
    def _add(self, model: LightningModule, x: Tensor) -> None:
        assert isinstance(model, VAE)
        if self._use is None:
            self._use = latent_use(model).to(model.device)
        with forked_generator(x.device):
            self._use.update(model.posteriors_of(x)[-1], model.top_prior())

    def _write(self, stage: Stage, step: int) -> Mapping[str, Tensor]:
        if self._use is None:
            return {}
        figures, self._use = self._use.compute(), None
        metrics = {
            f"latent/{stage}/active_units": float(figures["active_units"]),
            f"latent/{stage}/aggregate_kl": float(figures["aggregate_kl"].sum()),
            f"latent/{stage}/information": float((figures["kl_per_latent"] - figures["aggregate_kl"]).sum()),
        }
        if "code_perplexity" in figures:
            metrics[f"latent/{stage}/code_perplexity"] = float(figures["code_perplexity"].mean())
        self._journal.write(metrics, step)
        return figures
