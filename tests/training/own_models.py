"""Models that are none of the suite's, and runs of them with every callback that records."""

import math

import torch
import torch.nn.functional as F
from lightning.pytorch import Callback, LightningModule
from tests.training.small import seeded, trainer
from torch import nn

from reparam_suite.data import Digits
from reparam_suite.distributions import bernoulli
from reparam_suite.estimators import DisARM, Expectation
from reparam_suite.models import EstimatorModule
from reparam_suite.training import (
    Checkpoints,
    EndpointRecord,
    GradientRecord,
    Journal,
    LatentRecord,
    PathRecord,
    StepRecord,
    Validation,
    shorten_loop,
)


class LowerHalf(EstimatorModule):
    """Predicts the lower half of a digit from the upper, through stochastic bits; no VAE."""

    def __init__(self):
        super().__init__(estimator=DisARM(num_samples=4))
        self.hidden = nn.Sequential(nn.Linear(32, 10), nn.ReLU(), nn.Linear(10, 5))
        self.output = nn.Linear(5, 32)

    def log_likelihood(self, lower, z):
        logits = self.output(z)
        return -F.binary_cross_entropy_with_logits(logits, lower.expand_as(logits), reduction="none").sum(-1)

    def expectation(self, batch):
        upper, lower = batch.chunk(2, dim=-1)
        return Expectation(q=bernoulli(self.hidden(upper)), f=lambda z, q: self.log_likelihood(lower, z), context=upper)

    def validation_step(self, batch, batch_idx):
        upper, lower = batch.chunk(2, dim=-1)
        z = bernoulli(self.hidden(upper)).sample((5,))
        self.log("val/log_likelihood", (self.log_likelihood(lower, z).logsumexp(0) - math.log(5)).mean())


class Plain(LightningModule):
    """Regression: no estimator, no objective, a training metric of its own."""

    def __init__(self, returns="tensor"):
        super().__init__()
        self.network = nn.Linear(64, 1)
        self.returns = returns

    def training_step(self, batch, batch_idx):
        loss = (self.network(batch) - batch.mean(-1, keepdim=True)).square().mean()
        self.log("train/rmse", loss.sqrt())
        if self.returns == "none" and batch_idx == 3:
            return None
        return {"loss": loss, "extra": "word"} if self.returns == "dict" else loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


class WithValidation(Plain):
    def validation_step(self, batch, batch_idx):
        self.log("val/loss", (self.network(batch) - batch.mean(-1, keepdim=True)).square().mean())


class OnValidation(Callback):
    """A callback of a user's own."""

    def __init__(self):
        self.steps = []

    def on_validation_end(self, used, _):
        self.steps.append(used.global_step)


def callbacks(journal, checkpoints):
    record = StepRecord(every=3, journal=journal, checkpoints=checkpoints)
    return [
        record,
        Validation(journal=journal, record=record, checkpoints=checkpoints),
        LatentRecord(journal=journal, record=record),
        GradientRecord(every=3, journal=journal, record=record),
        EndpointRecord(journal=journal, record=record),
        PathRecord(every=3, journal=journal),
        checkpoints,
    ]


def run(model, *more, monitor=None, short=True, directory=None, **options):
    journal, checkpoints = Journal(), Checkpoints(monitor=monitor)
    checkpoints.directory = directory
    used = trainer(*callbacks(journal, checkpoints), *more, **{"max_steps": 7, "log_every_n_steps": 1} | options)
    if short:
        shorten_loop(used)
    with seeded():
        used.fit(model, datamodule=Digits(batch_size=300))
    return used, journal


def steps(journal, name):
    return [step for step, _ in journal.curves[name]]
