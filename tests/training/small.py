"""Small models of the digits, and one trainer for all tests of training."""

from contextlib import contextmanager

import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer

from reparam_suite.data import Digits
from reparam_suite.distributions import FactorizedCategorical
from reparam_suite.models import DiscreteVAE, GaussianVAE

SIZES = {"event_shape": (64,), "latent_size": 3, "hidden_sizes": (7,)}


@contextmanager
def seeded(seed: int = 0):
    """Inside, the global generator starts from `seed`; outside, it is as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def gaussian(seed: int = 0, **options) -> GaussianVAE:
    with seeded(seed):
        return GaussianVAE(**(SIZES | options))


def discrete(seed: int = 0, **options) -> DiscreteVAE:
    with seeded(seed):
        return DiscreteVAE(**(SIZES | options))


def categorical(seed: int = 0, **options) -> DiscreteVAE:
    return discrete(seed, posterior=FactorizedCategorical(num_classes=4), **options)


def trainer(*callbacks: Callback, max_steps: int = 5, accelerator: str = "cpu", logger=False, **options) -> Trainer:
    made = Trainer(
        accelerator=accelerator,
        devices=1,
        logger=logger,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **{"num_sanity_val_steps": 0, "max_steps": max_steps} | options,
    )
    made.callbacks.extend(callbacks)  # given here they keep their order, and may write checkpoints
    return made


def fit(model: LightningModule, data: LightningDataModule, *callbacks: Callback, **options) -> Trainer:
    """The trainer after training, the global generator as before."""
    with seeded():
        used = trainer(*callbacks, **options)
        used.fit(model, datamodule=data)
    return used


def validated(model: LightningModule, data: LightningDataModule | None = None) -> dict[str, float]:
    """The metrics of a validation by a trainer of its own."""
    with seeded():
        (metrics,) = trainer(inference_mode=False).validate(
            model, datamodule=data or Digits(batch_size=300), verbose=False
        )
    return metrics
