"""Real-valued data from outside: arrays in memory, and a LightningDataModule that draws its own batches.

The data are damped oscillations, observed at 32 times with noise of standard deviation 0.1. A normal likelihood with a
learned scale should find that noise.
"""

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, TensorDataset

from reparam_suite import Run
from reparam_suite.data import Arrays
from reparam_suite.distributions import NormalLikelihood
from reparam_suite.estimators import Pathwise
from reparam_suite.figures import reconstructions
from reparam_suite.models import GaussianVAE

MAX_STEPS = 1_200
NOISE = 0.1


def oscillations(num_rows: int, *, seed: int) -> np.ndarray:
    """Returns amplitude exp(-damping t) cos(2 pi frequency t) plus noise, `[num_rows, 32]` in float32."""
    random = np.random.default_rng(seed)
    t = np.linspace(0.0, 1.0, 32)
    amplitude, damping, frequency = random.uniform([0.5, 0.0, 1.0], [1.5, 3.0, 3.0], size=(num_rows, 3)).T[..., None]
    clean = amplitude * np.exp(-damping * t) * np.cos(2.0 * np.pi * frequency * t)
    return (clean + NOISE * random.normal(size=clean.shape)).astype(np.float32)


class Oscillations(LightningDataModule):
    """A data module as any project may have it: its batches are tuples `(x,)`, and it has no test data."""

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self._rows(2_000, seed=0), batch_size=100, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self._rows(500, seed=1), batch_size=250)

    def _rows(self, num_rows: int, *, seed: int) -> TensorDataset:
        return TensorDataset(torch.from_numpy(oscillations(num_rows, seed=seed)))


def make_model() -> GaussianVAE:
    """Returns a VAE with a normal likelihood, one learned scale for all times."""
    return GaussianVAE(
        event_shape=(32,),
        latent_size=4,
        hidden_sizes=(100,),
        likelihood=NormalLikelihood(scale="learned", initial_scale=0.5),
        learning_rate=3e-3,
        estimator=Pathwise(),
    )


if __name__ == "__main__":
    splits = {name: oscillations(500, seed=seed) for seed, name in enumerate(("valid", "test"), 1)}
    arrays = Arrays.of(train=oscillations(2_000, seed=0), name="oscillations", **splits)
    from_arrays = Run(make_model, arrays, max_steps=MAX_STEPS).fit()
    from_module = Run(make_model, Oscillations(), max_steps=MAX_STEPS).fit()

    for name, result in {"arrays": from_arrays, "data module": from_module}.items():
        scale = result.model.decode(torch.zeros(1, 4)).stddev[0, 0].item()  # the same at all times
        elbo = result.metrics["val/elbo_best"]  # a log density, which may be positive
        print(f"{name:>11}: validation ELBO {elbo:.2f} nats, scale of the noise {scale:.3f} (true: {NOISE})")
    print("test metrics of the data module:", [name for name in from_module.metrics if name.startswith("test/")])

    reconstructions(from_arrays.model, arrays.sample_batch("test")).savefig("oscillations.png")
