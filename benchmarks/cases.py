"""The models and data on which training steps are compared, and their losses written out by hand."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reparam_suite.data import Arrays, DataModule, Digits
from reparam_suite.models import VAE, DiscreteVAE, GaussianVAE

WARM_UP = 50
OURS, BARE, LIGHTNING, PYRO, PYTHAE, JAX = "ours", "bare loop", "plain Lightning", "Pyro SVI", "pythae", "JAX, scan"
COMPILED, ALONE, COMPILED_ALONE = "ours, compiled", "ours, the step alone", "ours, compiled, the step alone"


@final
@dataclass(frozen=True)
class Setting:
    """The setting of all sides: the clock, the device, the folder that they write to, and a file of noise."""

    now: Callable[[], float]
    device: torch.device
    root: Path
    noise: Path

    def data_of(self, case: "Case") -> DataModule:
        """The data of a case, the digits or noise."""
        return Digits() if case.sizes[0] == 64 else Arrays(path=self.noise)

    @property
    def accelerator(self) -> str:
        """The device in Lightning's words."""
        return "gpu" if self.device.type == "cuda" else "cpu"

    def batches(self, case: "Case") -> Iterator[Tensor]:
        """Training batches without end, on the device."""
        data = cast("Any", self.data_of(case))
        while True:
            for x in data.train_dataloader():
                yield x.to(self.device)

    def seconds_per_step(self, case: "Case", step: Callable[[Tensor], object], num_steps: int) -> float:
        """The time of a step on the training batches of a case, after the warm-up."""
        batches = self.batches(case)
        for x in itertools.islice(batches, WARM_UP):
            step(x)
        self._synchronize()
        start = self.now()
        for x in itertools.islice(batches, num_steps):
            step(x)
        self._synchronize()
        return (self.now() - start) / num_steps

    def _synchronize(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


@final
@dataclass(frozen=True)
class Case:
    """A model and its targets: ours at most so many times the bare loop, a peer at least so many times ours.

    Args:
        sizes: data, hidden layers, latents.
        model: the class.
        loss_of: the loss of the bare loop, from encoder, decoder and batch.
        targets: of our sides over the bare loop.
        peers: of each peer over ours; None where nothing is asked.
    """

    sizes: tuple[int, ...]
    model: type[GaussianVAE | DiscreteVAE]
    loss_of: Callable[[nn.Module, nn.Module, Tensor], Tensor]
    targets: dict[str, float]
    peers: dict[str, float | None]

    def make(self) -> VAE:
        """A new model."""
        num_features, *hidden, latent_size = self.sizes
        return self.model(event_shape=(num_features,), latent_size=latent_size, hidden_sizes=hidden)

    def networks(self) -> tuple[nn.Module, nn.Module]:
        """Encoder and decoder of a new model, without the model."""
        model = cast("Any", self.make())
        return model.posterior.network, model.likelihood.network


def gaussian_loss(encoder: nn.Module, decoder: nn.Module, x: Tensor) -> Tensor:
    """One sample, analytic KL."""
    loc, raw = encoder(x).chunk(2, -1)
    scale = F.softplus(raw)
    z = loc + scale * torch.randn_like(loc)
    log_likelihood = -F.binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum(-1)
    kl = 0.5 * (loc.square() + scale.square() - 1.0).sum(-1) - scale.log().sum(-1)
    return (kl - log_likelihood).mean()


def leave_one_out_loss(encoder: nn.Module, decoder: nn.Module, x: Tensor) -> Tensor:
    """Four samples, leave-one-out baseline, analytic KL."""
    logits = encoder(x)
    p = logits.sigmoid()
    z = torch.bernoulli(p.detach().expand(4, *p.shape))
    pixels = decoder(z)
    log_likelihood = -F.binary_cross_entropy_with_logits(pixels, x.expand_as(pixels), reduction="none").sum(-1)
    log_q = -F.binary_cross_entropy_with_logits(logits.expand_as(z), z, reduction="none").sum(-1)
    credit = (log_likelihood - log_likelihood.mean(0)).detach() / 3.0
    kl = (p * logits - F.softplus(logits)).sum(-1)
    return (kl - log_likelihood.mean(0) - (credit * log_q).sum(0)).mean()


CASES = {
    "Gaussian, 64-200-200-10 (digits)": Case(
        (64, 200, 200, 10),
        GaussianVAE,
        gaussian_loss,
        {OURS: 1.1, COMPILED: 0.8},
        {LIGHTNING: 3.0, PYRO: None, PYTHAE: None, JAX: None},
    ),
    "Gaussian, 784-200-200-50": Case(
        (784, 200, 200, 50),
        GaussianVAE,
        gaussian_loss,
        {OURS: 1.05, COMPILED: 0.92},
        {LIGHTNING: None, PYRO: 1.5, PYTHAE: 3.0, JAX: None},
    ),
    "Gaussian, 784-512-512-50": Case(
        (784, 512, 512, 50), GaussianVAE, gaussian_loss, {}, {LIGHTNING: None, PYRO: None, PYTHAE: None, JAX: None}
    ),
    "discrete, 784-200-200-200, LeaveOneOut K = 4": Case(
        (784, 200, 200, 200), DiscreteVAE, leave_one_out_loss, {OURS: 1.05, COMPILED: 0.92}, {}
    ),
}


def write_noise(file: Path) -> None:
    """Writes 10,000 rows of 784 bits to train on."""
    # As large as an epoch of MNIST's batches of 100 needs to be; the cost of a step does not depend on the data.
    rows = np.random.default_rng(0).integers(0, 2, (10_000, 784), dtype=np.uint8)
    np.savez(file, x_train=rows, x_valid=rows[:500], x_test=rows[:500])
