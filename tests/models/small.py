"""Models small enough for exact arithmetic, and one trainer for all tests of models and of training."""

from contextlib import contextmanager

import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from torch import nn

from reparam_suite.distributions import (
    BernoulliLikelihood,
    Conditional,
    DiagonalNormal,
    FactorizedCategorical,
    StandardNormal,
)
from reparam_suite.estimators import Pathwise
from reparam_suite.models import VAE, DiscreteVAE, GaussianVAE

SIZES = {"event_shape": (12,), "latent_size": 3, "hidden_sizes": (7,)}


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


def of_parts(seed: int = 0, **parts) -> VAE:
    """A VAE of parts over four bits and three normal latents."""
    with seeded(seed):
        chosen = {
            "posterior": Conditional(nn.Linear(4, 6), DiagonalNormal(3)),
            "likelihood": Conditional(nn.Linear(3, 4), BernoulliLikelihood(event_shape=(4,))),
            "prior": StandardNormal((3,)),
            "estimator": Pathwise(),
        }
        return VAE(**(chosen | parts))


def bits(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)).round()


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


def validated(model: VAE, batches) -> dict[str, float]:
    """The held-out bounds that validation logs, without a trainer."""
    training = model.training
    model.eval()
    for batch_idx, batch in enumerate(batches):
        model.validation_step(batch, batch_idx)
    model.train(training)
    return {name: value.item() for name, value in model.held_out_bounds.take("val", model.num_val_samples).items()}
