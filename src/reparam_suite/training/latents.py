"""Use of the latents, along training and on the test data."""

from collections.abc import Mapping
from typing import Any, Literal, final

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor
from torch.distributions import Distribution

from reparam_suite.diagnostics import LatentUse, latent_use, latents_of
from reparam_suite.runtime.random_streams import forked_generator
from reparam_suite.training.journal import Journal
from reparam_suite.training.record import StepRecord
from reparam_suite.training.validation import HeldOutCallback

Stage = Literal["val", "test"]

TEST_FILE = "latents/test"
"""The file with the numbers of every latent over the test data."""


@final
class LatentRecord(HeldOutCallback):
    """Records how the latents are used, over the validation data at every validation and over the test data.

    latent/STAGE/active_units: how many latents differ from datum to datum.
    latent/STAGE/aggregate_kl: KL(q(z_d) || p(z_d)) of the aggregate posterior, summed over latents, in nats.
    latent/STAGE/information: what the latents say about x, KL(q(z_d|x) || p(z_d)) less that, summed, in nats.
    latent/STAGE/code_perplexity: of discrete latents, how many values one takes, the mean over latents.
    latents/test.npz: the same, latent by latent. See `LatentUse`; of several layers it is the top one's. A model
    without `posterior(x)` and `prior()`, or with latents of a kind that `latent_use` does not know, has no such record.

    Args:
        journal: to record in.
        record: whose clock is stopped meanwhile.
    """

    def __init__(self, *, journal: Journal, record: StepRecord) -> None:
        self._journal = journal
        self._record = record
        self._use: LatentUse | None = None
        self._unknown = False

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: int
    ) -> None:
        """Adds a batch."""
        if not trainer.sanity_checking:
            self._add(pl_module, batch)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Records the validation data."""
        if not trainer.sanity_checking:
            self._write("val", trainer.global_step)

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: int
    ) -> None:
        """Adds a batch."""
        self._add(pl_module, batch)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Records the test data."""
        if results := self._write("test", trainer.global_step):
            self._journal.keep({name: value for name, value in results.items() if value.dim()}, TEST_FILE)

    @torch.no_grad()
    def _add(self, model: LightningModule, batch: Any) -> None:
        if self._unknown:
            return
        with forked_generator(model.device):
            latents = _latents(model, batch)
            if self._use is None and latents is not None:
                use = latent_use(*latents)
                self._use = None if use is None else use.to(model.device)
            if self._use is None or latents is None:
                self._unknown = True
            else:
                self._use.update(*latents)

    def _write(self, stage: Stage, step: int) -> Mapping[str, Tensor]:
        if self._use is None:
            return {}
        results, self._use = self._use.compute(), None
        metrics = {
            f"latent/{stage}/active_units": float(results["active_units"]),
            f"latent/{stage}/aggregate_kl": float(results["aggregate_kl"].sum()),
            f"latent/{stage}/information": float((results["kl_per_latent"] - results["aggregate_kl"]).sum()),
        }
        if "code_perplexity" in results:
            metrics[f"latent/{stage}/code_perplexity"] = float(results["code_perplexity"].mean())
        self._journal.write(metrics, step)
        return results


def _latents(model: Any, batch: Any) -> tuple[Distribution, Distribution] | None:
    # q and p of the top layer.
    x = batch[0] if isinstance(batch, tuple | list) else batch
    if hasattr(model, "posteriors") and hasattr(model, "top_prior"):
        return model.posteriors(x)[-1], model.top_prior()
    found = latents_of(model, x)
    return None if isinstance(found, str) else found
