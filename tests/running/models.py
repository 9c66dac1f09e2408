"""Small models and data for tests of runs, and arguments of short ones."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reparam_suite.data import Arrays
from reparam_suite.distributions import normal
from reparam_suite.estimators import Expectation, GradientEstimator, Pathwise
from reparam_suite.models import EstimatorModule, GaussianVAE
from reparam_suite.tracking import TrackingSettings
from reparam_suite.training import RecordSettings


def gaussian(**options) -> GaussianVAE:
    """A Gaussian VAE of the digits with three latents."""
    return GaussianVAE(
        **{"event_shape": (64,), "latent_size": 3, "hidden_sizes": (8,), "estimator": Pathwise(), **options}
    )


class Regression(EstimatorModule):
    """The last of four numbers from the first three, through two normal hidden units: no VAE."""

    def __init__(self, estimator: GradientEstimator) -> None:
        super().__init__(estimator=estimator)
        self.hidden = nn.Linear(3, 4)
        self.output = nn.Linear(2, 1)

    def q(self, batch: Tensor):
        loc, raw = self.hidden(batch[:, :3]).chunk(2, -1)
        return normal(loc, nn.functional.softplus(raw) + 1e-3)

    def expectation(self, batch: Tensor) -> Expectation:
        y = batch[:, 3]
        return Expectation(q=self.q(batch), f=lambda z, _: -(self.output(z).squeeze(-1) - y).square())

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        with torch.no_grad():
            predicted = self.output(self.q(batch).mean).squeeze(-1)
        self.log("val/loss", (predicted - batch[:, 3]).square().mean())


def rows() -> Arrays:
    """Numbers for it, without a test split."""
    x = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    return Arrays.of(train=x[:200], valid=x[200:], name="rows")


def short(tracking: TrackingSettings, **options: Any) -> dict[str, Any]:
    """Arguments of a run of eight steps."""
    record = RecordSettings(every=4, gradients_every=6, test_data=0)
    return {"max_steps": 8, "record": record, "tracking": tracking} | options
