"""Gradient variance and time of every estimator on common checkpoints, trained on the embedded digits."""

import platform
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, final

import torch
from benchmarks.catalogue import Entry, Latents, entries
from benchmarks.training import trained
from lightning.pytorch import Callback, LightningModule, Trainer
from rich.progress import track
from torch import Tensor
from torch.distributions import Bernoulli, Normal
from torch.optim import Optimizer

from reparam_suite.comparison.library import NUM_SAMPLES
from reparam_suite.data import Digits
from reparam_suite.diagnostics import gradient_statistics
from reparam_suite.distributions import OneHotCategorical
from reparam_suite.estimators import Average, Bound, LeaveOneOut, LogMeanExp, Pathwise, ScoreFunction
from reparam_suite.models import VAE


@final
@dataclass(frozen=True)
class Protocol:
    """The training of a checkpoint, and the measurement of an estimator on it.

    Attributes:
        train_steps: of the checkpoint, by Adam at 1e-3 on batches of 100.
        control_steps: before the measurement, for an estimator's own parameters and averages; the model stands still.
        most_repeats: independent gradients of each datum, `rows_per_datum` over the evaluations at most, never below 8.
        rows_per_datum: see `most_repeats`.
        timed_steps: whose median time is reported.
        seed: of everything.
    """

    train_steps: int = 2000
    control_steps: int = 300
    most_repeats: int = 32
    rows_per_datum: int = 512
    timed_steps: int = 20
    seed: int = 0


PROTOCOL = Protocol()


@final
@dataclass(frozen=True)
class Checkpoint:
    """One table of measurements."""

    title: str
    latents: Latents
    bound: type[Bound]

    def rows(self) -> Iterator[tuple[Entry, Latents]]:
        """Every estimator that fits, and the latents on which it is measured."""
        for entry in entries():
            latents = self.latents.largest_for(entry, self.bound)
            if latents is not None:
                yield entry, latents


BITS, CLASSES, NORMALS = Latents(Bernoulli, 20), Latents(OneHotCategorical, 8, 4), Latents(Normal, 10)
CHECKPOINTS = {
    "bernoulli": Checkpoint("Bernoulli latents", BITS, Average),
    "categorical": Checkpoint("Categorical latents", CLASSES, Average),
    "normal": Checkpoint("Normal latents", NORMALS, Average),
    "bernoulli_importance": Checkpoint("Bernoulli latents, importance-weighted bound", BITS, LogMeanExp),
    "normal_importance": Checkpoint("Normal latents, importance-weighted bound", NORMALS, LogMeanExp),
}


@final
class OnlyControl(Callback):
    """Trains the estimator's own parameters alone: the others have no gradient when the optimizer steps."""

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:  # noqa: ARG002
        """Takes the other gradients away."""
        control = set(pl_module.estimator.parameters())  # type: ignore[operator, union-attr]
        for parameter in pl_module.parameters():
            if parameter not in control:
                parameter.grad = None


@lru_cache
def checkpoint(latents: Latents) -> VAE:
    """A model with these latents, trained with the default estimator of its family."""
    data = Digits()
    default = Pathwise() if latents.family is Normal else ScoreFunction(num_samples=NUM_SAMPLES, baseline=LeaveOneOut())
    num_features = data.event_shape[0]
    return trained(
        lambda: latents.model(default, Average(), num_features), data, PROTOCOL.train_steps, seed=PROTOCOL.seed
    )


def prepared(entry: Entry, latents: Latents, bound: type[Bound]) -> VAE:
    """The checkpoint with this estimator, whose own parameters and averages have had their steps."""
    data = Digits()
    torch.manual_seed(PROTOCOL.seed)
    model = latents.model(entry.make(**entry.options(bound)), bound(), data.event_shape[0])
    for part in ("posterior", "likelihood"):
        getattr(model, part).load_state_dict(getattr(checkpoint(latents), part).state_dict())
    if not list(model.estimator.parameters()) and not list(model.estimator.buffers()):
        return model
    return trained(model, data, PROTOCOL.control_steps, seed=PROTOCOL.seed, callbacks=[OnlyControl()])


def measure(entry: Entry, latents: Latents, bound: type[Bound]) -> dict[str, Any]:
    """Gradient variance and time of one estimator on the checkpoint."""
    model, x = prepared(entry, latents, bound), Digits().sample_batch()
    evaluations = model.estimator.evaluations(model.posterior(x[:1]))
    repeats = max(8, min(PROTOCOL.most_repeats, PROTOCOL.rows_per_datum // evaluations))
    torch.manual_seed(PROTOCOL.seed)
    found = gradient_statistics(model, x, repeats)
    milliseconds = [1e3 * _seconds(model, x) for _ in range(3 + PROTOCOL.timed_steps)][3:]
    return {
        "latents": str(latents),
        "num_samples": model.estimator.num_samples,
        "evaluations": evaluations,
        **{
            part: {
                name: float(f"{getattr(found[part], name).item():.4g}")
                for name in ("variance", "standard_error", "squared_norm")
            }
            for part in ("encoder", "decoder")
        },
        "ms": float(f"{statistics.median(milliseconds):.4g}"),
    }


def _seconds(model: VAE, x: Tensor) -> float:
    # CPU time, which other work on the machine disturbs least.
    wanted = [parameter for parameter in model.parameters() if parameter.requires_grad]
    start = time.process_time()
    torch.autograd.grad(model.training_step(x, 0)["loss"], wanted, allow_unused=True)
    return time.process_time() - start


def measure_into(measured: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """The measurements, those of the estimators `names` made anew, without rows of estimators that no longer exist."""
    if measured.get("protocol") != asdict(PROTOCOL):
        names, measured = [entry.name for entry in entries()], {}
    jobs = [
        (key, entry, latents)
        for key, of_latents in CHECKPOINTS.items()
        for entry, latents in of_latents.rows()
        if entry.name in names
    ]
    tables: dict[str, dict[str, Any]] = {key: dict(measured.get("rows", {}).get(key, {})) for key in CHECKPOINTS}
    for key, entry, latents in track(jobs, description="measuring"):
        tables[key][entry.name] = measure(entry, latents, CHECKPOINTS[key].bound)
    return {
        "protocol": asdict(PROTOCOL),
        "machine": f"{platform.machine()}, CPU, {torch.get_num_threads()} thread, torch {torch.__version__}",
        "rows": {
            key: {entry.name: tables[key][entry.name] for entry, _ in of_latents.rows() if entry.name in tables[key]}
            for key, of_latents in CHECKPOINTS.items()
        },
    }


def stale(measured: Mapping[str, Any]) -> list[str]:
    """The estimators without a measurement, or with one at other defaults than they have now."""
    names: dict[str, None] = {}
    for key, of_latents in CHECKPOINTS.items():
        rows = measured.get("rows", {}).get(key, {}) if measured.get("protocol") == asdict(PROTOCOL) else {}
        for entry, latents in of_latents.rows():
            if {**rows.get(entry.name, {}), **_as_it_is(entry, latents, of_latents.bound)} != rows.get(entry.name):
                names[entry.name] = None
    return list(names)


def _as_it_is(entry: Entry, latents: Latents, bound: type[Bound]) -> dict[str, Any]:
    estimator, q = entry.make(**entry.options(bound)), latents.example()
    return {
        "latents": str(latents),
        "num_samples": estimator.num_samples,
        "evaluations": estimator.evaluations(q),
    }
