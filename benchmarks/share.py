"""Cost of what a run records of its gradient by default, as a share of its training."""

import statistics
import time
from collections.abc import Callable

import torch
from benchmarks.precision import seconds
from lightning.pytorch import Callback, Trainer
from torch import Tensor

from reparam_suite.data import Arrays
from reparam_suite.diagnostics import PathVariance, gradient_cost, gradient_statistics, grouped_sums
from reparam_suite.models import VAE
from reparam_suite.training import shorten_loop
from reparam_suite.training.endpoints import NUM_REPEATS as ENDPOINT_REPEATS
from reparam_suite.training.path import STRIDE

EVERY = 200
RUN = 10_000


def bare_step(model: VAE, x: Tensor, batch_size: int) -> Callable[[], None]:
    """A training step on random rows, without a trainer."""
    optimizer = model.made_optimizer()

    def step() -> None:
        batch = x[torch.randint(len(x), (batch_size,))]
        optimizer.zero_grad()
        model.training_step(batch, 0)["loss"].backward()
        optimizer.step()

    return step


def trainer_step(model: VAE, x: Tensor, batch_size: int, steps: int) -> float:
    """Seconds per step of a Lightning trainer that does nothing else, its start left out."""
    clock = Clock(steps)
    trainer = Trainer(
        max_steps=steps,
        max_epochs=-1,
        accelerator="cpu",
        logger=False,
        callbacks=[clock],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
    )
    shorten_loop(trainer)
    trainer.fit(model, datamodule=Arrays.of(train=x, valid=x[:batch_size], batch_size=batch_size))
    return clock.seconds / (steps - Clock.warm_up)


class Clock(Callback):
    """Processor time from the end of the warm-up to the end of the last step."""

    warm_up = 30

    def __init__(self, last: int) -> None:
        self._last = last
        self.seconds = 0.0

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        """Starts after the warm-up, ends with the last step."""
        if trainer.global_step == self.warm_up:
            self.seconds = -time.process_time()
        elif trainer.global_step == self._last:
            self.seconds += time.process_time()


def share_of_training(make: Callable[[], VAE], x: Tensor, batch_size: int, rounds: int) -> dict[str, float]:
    """The share of the default records of the gradient in the training time, and its parts."""
    model, in_trainer = make(), make()
    step = bare_step(model, x, batch_size)
    for _ in range(30):
        step()
    batch = x[:batch_size]
    path = PathVariance(model.parameter_groups()["encoder"])
    names = ("trainer_step", "bare_step", "measurement", "endpoint", "cost", "path_update")
    samples: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        samples["trainer_step"].append(trainer_step(in_trainer, x, batch_size, 80))
        samples["bare_step"].append(seconds(lambda: [step() for _ in range(20)]) / 20)
        samples["measurement"].append(
            statistics.median(seconds(lambda: gradient_statistics(model, batch)) for _ in "123")
        )
        samples["endpoint"].append(seconds(lambda: grouped_sums(model, batch, ENDPOINT_REPEATS, per_element=True)))
        samples["cost"].append(seconds(lambda: gradient_cost(model, batch)))
        samples["path_update"].append(seconds(lambda: [path.update() for _ in range(20)]) / 20)
    median = {name: statistics.median(sample) for name, sample in samples.items()}
    measured = median["measurement"] * (RUN / EVERY + 1) / RUN
    per_step = measured + (2.0 * median["endpoint"] + median["cost"]) / RUN + median["path_update"] / STRIDE
    return {
        **{f"{name}_ms": 1e3 * seconds for name, seconds in median.items()},
        "share_percent": 100.0 * per_step / median["trainer_step"],
        "measurements_percent": 100.0 * measured / median["trainer_step"],
        "measurements_every_100_percent": 100.0 * measured * EVERY / 100 / median["trainer_step"],
        "share_of_bare_loop_percent": 100.0 * per_step / median["bare_step"],
    }
