"""Small models of the digits, for tests of training."""

from lightning.pytorch import LightningDataModule, LightningModule
from tests.models import small
from tests.models.small import fit, seeded, trainer

from reparam_suite.data import Digits
from reparam_suite.models import DiscreteVAE, GaussianVAE

__all__ = ["SIZES", "categorical", "discrete", "fit", "gaussian", "seeded", "trainer", "validated"]

SIZES = small.SIZES | {"event_shape": (64,)}


def gaussian(seed: int = 0, **options) -> GaussianVAE:
    return small.gaussian(seed, **(SIZES | options))


def discrete(seed: int = 0, **options) -> DiscreteVAE:
    return small.discrete(seed, **(SIZES | options))


def categorical(seed: int = 0, **options) -> DiscreteVAE:
    return small.categorical(seed, **(SIZES | options))


def validated(model: LightningModule, data: LightningDataModule | None = None) -> dict[str, float]:
    """The metrics of a validation by a trainer of its own."""
    with seeded():
        (metrics,) = trainer(inference_mode=False).validate(
            model, datamodule=data or Digits(batch_size=300), verbose=False
        )
    return metrics
