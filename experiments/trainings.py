"""Trainings of one model with several estimators, each of as many steps as a budget allows: a sweep of runs."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev
from typing import Literal, TypeAlias, final

import numpy as np
from benchmarks.catalogue import Latents, entry
from experiments.setting import Setting
from scipy.interpolate import PchipInterpolator

from reparam_suite import Run, Sweep
from reparam_suite.data import MNIST, ArrayDataModule, Digits
from reparam_suite.estimators import Average
from reparam_suite.models import VAE
from reparam_suite.tracking import Store
from reparam_suite.training import RecordSettings

Dataset: TypeAlias = Literal["Digits", "MNIST"]
Points: TypeAlias = list[tuple[int, float]]

NUM_MARKS = 12
"""Places along training at which bound and variance are measured, evenly over the budget."""
VALIDATION_BATCHES = 2
"""Validation batches at each mark, of 500 data at most."""


@final
@dataclass(frozen=True)
class Comparison:
    """Makes the run of an estimator, named as in the table of estimators, with a seed.

    Args:
        experiment: its name.
        budget: which the numbers of steps come from, in words.
        latents: of the model, which is the one of that table, by the name of the estimator.
        dataset: to train on.
        num_steps: of a training, by the name of the estimator.
        setting: of the experiment.
    """

    experiment: str
    budget: str
    latents: Mapping[str, Latents]
    dataset: Dataset
    num_steps: Mapping[str, int]
    setting: Setting

    def data(self) -> ArrayDataModule:
        """The data."""
        return Digits() if self.dataset == "Digits" else MNIST(root=self.setting.data_root)

    def __call__(self, *, estimator: str, seed: int) -> Run:
        """The run."""
        data, latents = self.data(), self.latents[estimator]

        def make_model() -> VAE:
            return latents.model(entry(estimator).make(), Average(), math.prod(data.event_shape))

        num_steps = self.num_steps[estimator]
        every = max(1, num_steps // NUM_MARKS)
        return Run(
            make_model,
            data,
            seed=seed,
            max_steps=num_steps,
            tags={"experiment": self.experiment},
            trainer={
                "accelerator": "cpu",
                "val_check_interval": every,
                "check_val_every_n_epoch": None,
                "limit_val_batches": VALIDATION_BATCHES,
                "limit_test_batches": 1,
            },
            record=RecordSettings(every=every, gradients_every=every, test_data=0),
            tracking=self.setting.tracking,
        )


def evaluations(estimator: str, latents: Latents) -> int:
    """Evaluations of f per datum and step."""
    return entry(estimator).make().evaluations(latents.example())


def equal_evaluations(latents: Mapping[str, Latents], budget: int) -> dict[str, int]:
    """Steps by estimator that evaluate f at each datum of a batch `budget` times in all; one step at least."""
    return {name: max(1, budget // evaluations(name, own)) for name, own in latents.items()}


@final
@dataclass(frozen=True)
class Curve:
    """Bound and gradient variance along a training.

    Attributes:
        evaluations: of f per datum and step.
        ms_per_step: wall time of a step without measurements, the median of the intervals between marks.
        elbo: on validation data in nats, by step.
        variance: trace of the covariance of the encoder's gradient, by step.
    """

    evaluations: int
    ms_per_step: float
    elbo: Points
    variance: Points

    @property
    def num_steps(self) -> int:
        """Steps of the training."""
        return self.elbo[-1][0]

    def elbo_at(self, step: int) -> float:
        """The bound at a step; between two marks it is that of a monotone cubic in the logarithm of the step.

        Raises:
            ValueError: if the training did not get there.
        """
        steps, values = zip(*self.elbo, strict=True)
        if not steps[0] <= step <= steps[-1]:
            raise ValueError(f"step: expected one of the training, {steps[0]} to {steps[-1]}, got {step}")
        return float(PchipInterpolator(np.log1p(steps), values)(math.log1p(step)))


def trained(comparison: Comparison, num_seeds: int) -> dict[str, list[Curve]]:
    """The trainings by estimator, one per seed; those that are on record already are not made again.

    Raises:
        RuntimeError: if one failed.
    """
    sweep = Sweep(
        comparison,
        grid={"estimator": list(comparison.latents)},
        seeds=range(num_seeds),
        name=f"{comparison.experiment}, {comparison.budget}",
        workers=num_workers(),
    )
    frame = sweep.run().frame
    require_success(frame["reason"])
    store = Store.open(comparison.setting.tracking)
    run_ids = list(frame["run_id"])
    elbo, variance, ms = (
        store.histories(run_ids, name) for name in ("val/elbo", "grad/encoder/variance", "time/ms_per_step")
    )
    curves: dict[str, list[Curve]] = {}
    for estimator, run_id in zip(frame["estimator"], run_ids, strict=True):
        per_step = evaluations(estimator, comparison.latents[estimator])
        milliseconds = median(value for _, value in ms[run_id])
        curves.setdefault(estimator, []).append(
            Curve(per_step, milliseconds, sorted(elbo[run_id]), sorted(variance[run_id]))
        )
    return curves


def num_workers() -> int:
    """As many as there are processors for this process."""
    return len(os.sched_getaffinity(0))


def require_success(reasons: Sequence[str | None]) -> None:
    """Refuses the runs of a sweep of which one failed.

    Raises:
        RuntimeError: with the first reason.
    """
    if failed := next((reason for reason in reasons if isinstance(reason, str)), None):
        raise RuntimeError(f"a training failed: {failed}")


def averaged(curves: Sequence[Points]) -> Points:
    """The mean of several curves at the steps that all of them have."""
    by_step = [dict(curve) for curve in curves]
    return [(step, fmean(values[step] for values in by_step)) for step in by_step[0] if all(step in v for v in by_step)]


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """The mean and its standard error, which is 0 for a single value."""
    return fmean(values), stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
