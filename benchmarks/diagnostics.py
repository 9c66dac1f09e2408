"""What measuring the gradient's variance costs: against the obvious loop, and as a share of training.

    python -m benchmarks.diagnostics [--data-root data] [--steps 300] [--times 30] [--rounds 9]

Cost at equal precision: time of one measurement times the variance of what it gives, both roads in this process on the
same trained model and minibatch of 100, in turn. The naive road is a bare loop of backward passes with running sums.
The error of a variance by element is |measured - true|^2 / |true|^2 over all elements of the group; the ratio of the
median element is given beside it. Seconds are the processor's, on one thread, since other work on the machine then
does not count.

Share of training: all that a run records of its gradient by default, in a run of 10,000 steps. That is a measurement at
the first step, every 200 and the last; the closer look at both ends; the cost, once; the moving variance at every
eighth step. Over the steps of a trainer without any other callback or logger, and over those of a bare loop; the share
of the measurements alone is given beside it, at every 200 steps and at every 100.
"""

import argparse
import logging
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.measuring import Findings, Listing, at_least, parser
from lightning.pytorch import Callback, LightningDataModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from reparam_suite.diagnostics import PathVariance, gradient_cost, gradient_statistics, grouped_sums
from reparam_suite.diagnostics.gradients import DEFAULT_REPEATS
from reparam_suite.estimators import DisARM
from reparam_suite.models import VAE, DiscreteVAE, GaussianVAE
from reparam_suite.objectives import evidence
from reparam_suite.training import shorten_loop
from reparam_suite.training.endpoints import NUM_REPEATS as ENDPOINT_REPEATS
from reparam_suite.training.path import STRIDE

NAIVE_REPEATS = 10
FAST_REPEATS = 16
GROUPS = ("encoder", "decoder")
EVERY = 200
RUN = 10_000


def gaussian() -> VAE:
    """conf/mnist_gaussian.yaml: Pathwise, K = 1."""
    return GaussianVAE(latent_size=50)


def discrete() -> VAE:
    """conf/mnist_discrete.yaml: ScoreFunction with LeaveOneOut, K = 4."""
    return DiscreteVAE(latent_size=200)


def disarm() -> VAE:
    """Two antithetic pairs, K = 4."""
    return DiscreteVAE(latent_size=200, estimator=DisARM(num_samples=4))


MODELS: dict[str, Callable[[], VAE]] = {
    "Gaussian 784-200-200-50, Pathwise, K = 1": gaussian,
    "discrete 784-200-200-200, LeaveOneOut, K = 4": discrete,
    "discrete 784-200-200-200, DisARM, K = 4": disarm,
}


def pixels(root: Path | None) -> Tensor:
    """Binarized MNIST, `[N, 784]`; without a folder, smooth blobs of about as many bright and dead pixels."""
    generator = torch.Generator().manual_seed(0)
    if root is not None:
        images = np.load(root / "mnist.npz", allow_pickle=False)["x_train"][:10_000].reshape(-1, 784)
        grey = torch.from_numpy(images).float() / 255.0
    else:
        grid = torch.cartesian_prod(torch.arange(28.0), torch.arange(28.0))
        centres = 8.0 + 12.0 * torch.rand(10_000, 1, 2, generator=generator)
        grey = (-((grid - centres).square().sum(-1) / 18.0)).exp()
    return (torch.rand(grey.shape, generator=generator) < grey).float()


def train(model: VAE, x: Tensor, batch_size: int, steps: int) -> Callable[[], None]:
    """Trains, and returns one further step."""
    optimizer = model.configure_optimizers()

    def step() -> None:
        batch = x[torch.randint(len(x), (batch_size,))]
        optimizer.zero_grad()
        model.training_step(batch, 0).backward()
        optimizer.step()

    for _ in range(steps):
        step()
    return step


def naive(model: VAE, x: Tensor, *, per_element: bool) -> dict[str, Any]:
    """The obvious loop: R backward passes and running sums."""
    groups = {name: model.parameter_groups()[name] for name in GROUPS}
    wanted = [each for group in groups.values() for each in group]
    sums = [torch.zeros_like(each) for each in wanted]
    squares = [torch.zeros_like(each) for each in wanted]
    for _ in range(NAIVE_REPEATS):
        objective = model.estimator(evidence(model, x, model.bound, model.kl)).objective.mean()
        gradients = torch.autograd.grad(objective, wanted)
        torch._foreach_add_(sums, gradients)
        torch._foreach_addcmul_(squares, gradients, gradients)
    torch._foreach_addcmul_(squares, sums, sums, value=-1.0 / NAIVE_REPEATS)
    torch._foreach_div_(squares, NAIVE_REPEATS - 1.0)
    left = iter(squares)
    elements = {name: [next(left) for _ in group] for name, group in groups.items()}
    if per_element:
        return elements
    return {name: torch.stack([each.sum() for each in group]).sum() for name, group in elements.items()}


def fast(model: VAE, x: Tensor, *, per_element: bool) -> dict[str, Any]:
    """Ours."""
    measured = gradient_statistics(model, x, FAST_REPEATS, per_element=per_element)
    return {name: measured[name].element_variances if per_element else measured[name].variance for name in GROUPS}


def seconds(computation: Callable[[], object]) -> float:
    """Of the processor, on this thread."""
    start = time.process_time()
    computation()
    return time.process_time() - start


def at_equal_precision(model: VAE, x: Tensor, times: int, *, per_element: bool) -> dict[str, dict[str, float]]:
    """How much cheaper ours is than the naive road, by group."""
    roads = {"naive": naive, "fast": fast}
    clocks: dict[str, list[float]] = {name: [] for name in roads}
    sums: dict[str, dict[str, list[Tensor]]] = {name: {} for name in roads}
    for index in range(times):
        torch.manual_seed(index)
        for name, road in roads.items():
            results: dict[str, Any] = {}
            clocks[name].append(
                seconds(lambda road=road, into=results: into.update(road(model, x, per_element=per_element)))
            )
            for group, values in results.items():
                flat = torch.cat([each.flatten() for each in values]) if per_element else values.reshape(1)
                first, second = sums[name].setdefault(
                    group, [torch.zeros_like(flat, dtype=torch.float64) for _ in "12"]
                )
                first += flat
                second += flat.double().square()
    report = {}
    for group in GROUPS:
        moments = {name: [each / times for each in of_road[group]] for name, of_road in sums.items()}
        truth = moments["fast"][0]
        errors = {name: (second - mean.square()) * times / (times - 1) for name, (mean, second) in moments.items()}
        # What never varies, a dead pixel's weight say, has no relative error.
        varies = truth > 1e-6 * truth.mean()
        median = float((errors["naive"] / errors["fast"])[varies].median())
        errors = {name: float(each.sum() / truth.square().sum()) for name, each in errors.items()}
        milliseconds = {name: 1e3 * statistics.median(each) for name, each in clocks.items()}
        report[group] = {
            "naive_ms": milliseconds["naive"],
            "fast_ms": milliseconds["fast"],
            "naive_squared_relative_error": errors["naive"],
            "fast_squared_relative_error": errors["fast"],
            "median_element_times_cheaper": median * milliseconds["naive"] / milliseconds["fast"],
            "times_cheaper": milliseconds["naive"] * errors["naive"] / (milliseconds["fast"] * errors["fast"]),
        }
    return report


def trainer_step(model: VAE, x: Tensor, batch_size: int, steps: int) -> float:
    """Seconds a step of a Lightning trainer that does nothing else, its start left out."""
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
    )
    shorten_loop(trainer)
    trainer.fit(model, datamodule=Batches(x, batch_size))
    return clock.seconds / (steps - Clock.warm_up)


class Batches(LightningDataModule):
    """Rows in their order, in batches of one size."""

    def __init__(self, x: Tensor, batch_size: int) -> None:
        super().__init__()
        self.train_mean = x.mean(0)
        self._batches = x[: len(x) // batch_size * batch_size].split(batch_size)

    def train_dataloader(self) -> DataLoader[Tensor]:
        """No worker, nothing to collate."""
        return DataLoader(self._batches, batch_size=None)


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
    """What all that is recorded of the gradient by default adds to the training time."""
    model, in_trainer = make(), make()
    step = train(model, x, batch_size, 30)
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
    median = {name: statistics.median(each) for name, each in samples.items()}
    measured = median["measurement"] * (RUN / EVERY + 1) / RUN
    per_step = measured + (2.0 * median["endpoint"] + median["cost"]) / RUN + median["path_update"] / STRIDE
    return {
        **{f"{name}_ms": 1e3 * each for name, each in median.items()},
        "share_percent": 100.0 * per_step / median["trainer_step"],
        "measurements_percent": 100.0 * measured / median["trainer_step"],
        "measurements_every_100_percent": 100.0 * measured * EVERY / 100 / median["trainer_step"],
        "share_of_bare_loop_percent": 100.0 * per_step / median["bare_step"],
    }


PRECISION = (
    "model",
    "what",
    "group",
    "naive ms",
    "ours ms",
    "naive error",
    "our error",
    "times cheaper",
    "median element",
)
SHARE = (
    "model",
    "batch",
    "trainer step ms",
    "bare step ms",
    "measurement ms",
    "share",
    "of a bare loop",
    "measurements",
    "every 100",
)


def precision_rows(name: str, found: dict[str, dict[str, dict[str, float]]]) -> list[list[str]]:
    """Of one model: what is measured, for each group."""
    return [
        [
            name,
            what,
            group,
            f"{of_group['naive_ms']:.1f}",
            f"{of_group['fast_ms']:.1f}",
            f"{of_group['naive_squared_relative_error'] ** 0.5:.3f}",
            f"{of_group['fast_squared_relative_error'] ** 0.5:.3f}",
            f"{of_group['times_cheaper']:.1f}",
            f"{of_group['median_element_times_cheaper']:.1f}",
        ]
        for what, of_groups in found.items()
        for group, of_group in of_groups.items()
    ]


def share_rows(name: str, found: dict[str, dict[str, float]]) -> list[list[str]]:
    """Of one model, for each batch."""
    return [
        [
            name,
            batch,
            f"{cost['trainer_step_ms']:.2f}",
            f"{cost['bare_step_ms']:.2f}",
            f"{cost['measurement_ms']:.2f}",
            f"{cost['share_percent']:.2f} %",
            f"{cost['share_of_bare_loop_percent']:.2f} %",
            f"{cost['measurements_percent']:.2f} %",
            f"{cost['measurements_every_100_percent']:.2f} %",
        ]
        for batch, cost in found.items()
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, prints two tables and writes them as JSON and on the page."""
    made = parser("diagnostics", __doc__, devices=("cpu",))
    made.add_argument("--data-root", type=_folder, default=None, help="with mnist.npz; made-up blobs without it")
    made.add_argument("--steps", type=at_least(1), default=300, help="training steps before the measurement")
    made.add_argument("--times", type=at_least(2), default=30, help="measurements whose spread is the precision")
    made.add_argument("--rounds", type=at_least(1), default=9)
    options = made.parse_args(arguments)
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    torch.manual_seed(0)
    x = pixels(options.data_root)
    precision: dict[str, Any] = {}
    training: dict[str, Any] = {}
    for name, make in MODELS.items():
        model = make()
        train(model, x, 100, options.steps)
        precision[name] = {
            what: at_equal_precision(model, x[:100], options.times, per_element=per_element)
            for what, per_element in (("per element", True), ("trace", False))
        }
        training[name] = {str(size): share_of_training(make, x, size, options.rounds) for size in (50, 100)}
    data = "MNIST" if options.data_root else "made-up blobs"
    Findings(
        how=f"{data}, {options.steps} steps before, {options.times} measurements, {options.rounds} rounds, cpu time",
        listings=[
            Listing(
                "The gradient's variance at equal precision",
                PRECISION,
                [row for name, found in precision.items() for row in precision_rows(name, found)],
                num_names=3,
            ),
            Listing(
                "What a run records of its gradient, over its training",
                SHARE,
                [row for name, found in training.items() for row in share_rows(name, found)],
            ),
        ],
        content={
            "data": data,
            "repeats": {"naive": NAIVE_REPEATS, "fast": FAST_REPEATS, "default": DEFAULT_REPEATS},
            "every": EVERY,
            "equal_precision": precision,
            "training": training,
        },
    ).report(options)


def _folder(text: str) -> Path:
    if not (Path(text) / "mnist.npz").is_file():
        raise argparse.ArgumentTypeError(f"expected a folder with mnist.npz, got {text}")
    return Path(text)


if __name__ == "__main__":
    main()
