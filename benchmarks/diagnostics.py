"""Cost of measuring the gradient's variance: against the obvious loop, and as a share of training.

    python -m benchmarks.diagnostics [--data-root data] [--steps 300] [--times 30] [--rounds 9]

Cost at equal precision: time of one measurement times the variance of its result, both roads in this process on the
same trained model and minibatch of 100, in turn. The naive road is a bare loop of backward passes with running sums.
The error of a variance by element is |measured - true|^2 / |true|^2 over all elements of the group; the ratio of the
median element is given beside it. Seconds are the processor's, on one thread, since other work on the machine then
does not count.

Share of training: the default records of the gradient in a run of 10,000 steps. They are a measurement at the first
step, every 200 and the last; the closer look at both ends; the cost, once; the moving variance at every
eighth step. Over the steps of a trainer without any other callback or logger, and over those of a bare loop; the share
of the measurements alone is given beside it, at every 200 steps and at every 100.
"""

import argparse
import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.measuring import Findings, Listing, at_least, parser
from benchmarks.precision import FAST_REPEATS, NAIVE_REPEATS, at_equal_precision
from benchmarks.share import EVERY, share_of_training
from benchmarks.training import trained
from torch import Tensor

from reparam_suite.data import Arrays
from reparam_suite.diagnostics.gradients import DEFAULT_REPEATS
from reparam_suite.estimators import DisARM
from reparam_suite.models import VAE, DiscreteVAE, GaussianVAE


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
    """Binarized MNIST, `[N, 784]`; without a folder, smooth blobs with about as many bright and dead pixels."""
    generator = torch.Generator().manual_seed(0)
    if root is not None:
        images = np.load(root / "mnist.npz", allow_pickle=False)["x_train"][:10_000].reshape(-1, 784)
        grey = torch.from_numpy(images).float() / 255.0
    else:
        grid = torch.cartesian_prod(torch.arange(28.0), torch.arange(28.0))
        centres = 8.0 + 12.0 * torch.rand(10_000, 1, 2, generator=generator)
        grey = (-((grid - centres).square().sum(-1) / 18.0)).exp()
    return (torch.rand(grey.shape, generator=generator) < grey).float()


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
    """The rows of one model: each quantity, for each group."""
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
    """The rows of one model, one per batch."""
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
    """Measures, prints two tables and writes them."""
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
        model = trained(make, Arrays.of(train=x, valid=x[:100]), options.steps)
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
                "Records of a run's gradient, over its training",
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
