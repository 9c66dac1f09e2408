"""Training steps of plain Lightning, Pyro and pythae, on the models and data of `benchmarks.cases`."""

from contextlib import redirect_stderr
from io import StringIO
from typing import Any

import torch
import torch.nn.functional as F
from benchmarks.cases import JAX, PYRO, PYTHAE, WARM_UP, Case, Setting
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor, nn


class PlainVAE(LightningModule):
    """The Gaussian VAE as one writes it in Lightning, with five metrics logged at each step."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def training_step(self, x: Tensor) -> Tensor:
        """The loss."""
        loc, raw = self.encoder(x).chunk(2, -1)
        scale = F.softplus(raw)
        z = loc + scale * torch.randn_like(loc)
        reconstruction = -F.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="none").sum(-1).mean()
        kl = (0.5 * (loc.square() + scale.square() - 1.0).sum(-1) - scale.log().sum(-1)).mean()
        loss = kl - reconstruction
        self.log("train/loss", loss)
        self.log("train/elbo", -loss)
        self.log("train/reconstruction", reconstruction)
        self.log("train/kl", kl)
        self.log("train/scale", scale.mean())
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.parameters(), lr=1e-3, fused=True)


class Clock(Callback):
    """Seconds from the end of the warm-up to the end of step `last`, when a CSV logger has all that was logged."""

    def __init__(self, last: int, setting: Setting) -> None:
        self._last = last
        self._now = setting.now
        self.seconds = 0.0

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Starts after the warm-up, ends with the last batch."""
        if trainer.global_step == WARM_UP:
            self.seconds = -self._now()
        elif trainer.global_step == self._last:
            for logger in trainer.loggers:
                logger.save()
            self.seconds += self._now()


def plain_lightning(case: Case, steps: int, setting: Setting) -> float:
    """Seconds per step of Lightning's Trainer, with its CSV logger."""
    clock = Clock(WARM_UP + steps, setting)
    trainer = Trainer(
        max_steps=WARM_UP + steps,
        accelerator=setting.accelerator,
        devices=1,
        logger=CSVLogger(setting.root / "csv"),
        callbacks=[clock],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
    )
    trainer.fit(PlainVAE(*case.networks()), setting.data_of(case))
    return clock.seconds / steps


def pyro_svi(case: Case, steps: int, setting: Setting) -> float:
    """Seconds per step of SVI with the analytic KL."""
    import pyro
    import pyro.distributions as dist
    from pyro.infer import SVI, TraceMeanField_ELBO

    latent_size = case.sizes[-1]
    encoder, decoder = (network.to(setting.device) for network in case.networks())
    zeros = torch.zeros(latent_size, device=setting.device)

    def model(x: Tensor) -> None:
        pyro.module("decoder", decoder)
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(zeros, 1.0).expand([len(x), latent_size]).to_event(1))
            pyro.sample("x", dist.Bernoulli(logits=decoder(z)).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        pyro.module("encoder", encoder)
        with pyro.plate("data", len(x)):
            loc, raw = encoder(x).chunk(2, -1)
            pyro.sample("z", dist.Normal(loc, F.softplus(raw)).to_event(1))

    pyro.clear_param_store()
    svi = SVI(model, guide, pyro.optim.Adam({"lr": 1e-3, "fused": True}), TraceMeanField_ELBO())
    return setting.seconds_per_step(case, svi.step, steps)


def pythae_trainer(case: Case, steps: int, setting: Setting) -> float:
    """Seconds per step of pythae's BaseTrainer."""
    import pythae.models as theirs
    from pythae.data.datasets import BaseDataset
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback

    class Encoder(BaseEncoder):
        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: Tensor) -> Any:
            loc, log_variance = self.network(x).chunk(2, -1)
            return ModelOutput(embedding=loc, log_covariance=log_variance)

    class Decoder(BaseDecoder):
        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, z: Tensor) -> Any:
            return ModelOutput(reconstruction=self.network(z).sigmoid())

    class Steps(TrainingCallback):
        def __init__(self) -> None:
            self.number, self.seconds = 0, 0.0

        def on_train_step_end(self, *_: Any, **__: Any) -> None:
            self.number += 1
            if self.number == WARM_UP:
                self.seconds = -setting.now()
            elif self.number == WARM_UP + steps:
                self.seconds += setting.now()

    data: Any = setting.data_of(case)
    x = torch.cat(list(data.train_dataloader())).cpu()
    encoder, decoder = case.networks()
    clock = Steps()
    config = BaseTrainerConfig(
        output_dir=str(setting.root / "pythae"),
        per_device_train_batch_size=data.batch_size,
        num_epochs=-(-(WARM_UP + steps) // -(-len(x) // data.batch_size)),
        optimizer_params={"fused": True},
        learning_rate=1e-3,
        no_cuda=setting.device.type == "cpu",
        keep_best_on_train=True,
    )
    vae = theirs.VAE(
        theirs.VAEConfig(input_dim=case.sizes[:1], latent_dim=case.sizes[-1], reconstruction_loss="bce"),
        Encoder(encoder),
        Decoder(decoder),
    )
    trainer = BaseTrainer(
        vae, train_dataset=BaseDataset(x, torch.zeros(len(x))), training_config=config, callbacks=[clock]
    )
    with redirect_stderr(StringIO()):  # its progress bars
        trainer.train()
    return clock.seconds / steps


def absent() -> dict[str, str]:
    """The peers that do not import, with the reason."""
    reasons = {}
    for side, module in {PYRO: "pyro", PYTHAE: "pythae.trainers", JAX: "jax"}.items():
        try:
            __import__(module)
        except ImportError as error:
            reasons[side] = str(error)
    return reasons
