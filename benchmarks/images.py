"""Images: our training step on a convolutional network beside a bare loop's, and what reading images adds to it.

    OMP_NUM_THREADS=1 python -m benchmarks.images [--steps 60] [--rounds 3]

3 x 32 x 32 in 8-bit colour, batch 64, ConvNet(channels=(32, 64)), 64 normal latents, a discretized logistic, Adam; time
per step after ten of them, sides in turn, the median of the rounds' ratios. Ours keeps every default record but those
of the gradient, whose share of a run of 10,000 steps is in a second table; start-up, validation and the end of a run
are apart. Images are read from PNG files by two threads, and rows from one .npy file, as they are needed. Our step is
compared with the bare one by the CPU time of all threads; what reading adds to it by the clock, since it passes on a
second core while a step computes there.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from benchmarks.measuring import Findings, Listing, Target, at_least, in_turn, parser
from benchmarks.share import share_of_training
from benchmarks.training import trained
from lightning.pytorch import Callback
from PIL import Image

from reparam_suite.data import Arrays, ArraysInMemory, DataModule, ImageFolder, StreamedArrays
from reparam_suite.distributions import DiscretizedLogisticLikelihood
from reparam_suite.models import GaussianVAE
from reparam_suite.networks import Builder, ConvNet, ResNet
from reparam_suite.training.budget import SHARE

SHAPE, LATENTS, BATCH, WARM_UP = (3, 32, 32), 64, 64, 10
ROWS = 640
NETWORKS: dict[str, Builder] = {"ConvNet(channels=(32, 64))": ConvNet(), "ResNet(width=16)": ResNet(width=16)}


class Cost(NamedTuple):
    """Milliseconds of a step."""

    cpu: float
    wall: float


class Clock(Callback):
    """The time of the steps from one to another."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.times: dict[int, tuple[float, float]] = {}

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        """Looks at the clock after the warm-up and at the end."""
        if trainer.global_step in (WARM_UP, self.last):
            self.times[trainer.global_step] = now()

    @property
    def cost(self) -> Cost:
        """Of one step."""
        return cost(self.times[WARM_UP], self.times[self.last], self.last - WARM_UP)


def now() -> tuple[float, float]:
    """CPU time of all threads, and the clock's, in seconds."""
    return time.process_time(), time.perf_counter()


def cost(begun: tuple[float, float], ended: tuple[float, float], num_steps: int) -> Cost:
    """Of one of the steps between two times."""
    return Cost(*(1e3 * (last - first) / num_steps for first, last in zip(begun, ended, strict=True)))


def vae(encoder: Builder) -> GaussianVAE:
    """The model of all tables, with an encoder and its mirror image."""
    return GaussianVAE(
        event_shape=SHAPE, latent_size=LATENTS, encoder=encoder, likelihood=DiscretizedLogisticLikelihood()
    )


def ours(data: DataModule, num_steps: int) -> Cost:
    """One of our steps."""
    clock = Clock(num_steps)

    trained(partial(vae, ConvNet()), data, num_steps, callbacks=[clock])
    return clock.cost


def bare(data: DataModule, num_steps: int) -> Cost:
    """A step of a plain PyTorch loop on the same batches."""
    torch.manual_seed(0)
    encoder, decoder = ConvNet()(SHAPE, (2 * LATENTS,)), ConvNet()((LATENTS,), SHAPE)
    log_scale = torch.nn.Parameter(torch.tensor(-2.3))
    adam = torch.optim.Adam([*encoder.parameters(), *decoder.parameters(), log_scale], lr=1e-3)
    start, done = now(), 0
    while done < num_steps:
        for x in data.train_dataloader():
            loc, raw = encoder(x).chunk(2, -1)
            scale = F.softplus(raw) + 1e-4
            mean = decoder(loc + scale * torch.randn_like(loc)) + 0.5
            kl = 0.5 * (loc.square() + scale.square() - 2.0 * scale.log() - 1.0).sum(-1)
            loss = (kl - log_probability(x, mean, log_scale)).mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
            done += 1
            if done == WARM_UP:
                start = now()
            if done == num_steps:
                break
    return cost(start, now(), num_steps - WARM_UP)


def log_probability(x: torch.Tensor, mean: torch.Tensor, log_scale: torch.Tensor) -> torch.Tensor:
    """Of a discretized logistic of 256 levels, `[B]`, as one would write it."""
    inverse = (-log_scale).exp()
    above, below = (x - mean + 1 / 510) * inverse, (x - mean - 1 / 510) * inverse
    inside = F.logsigmoid(above) + F.logsigmoid(-below) + (-torch.expm1(-inverse / 255)).log()
    log_p = torch.where(x < 1 / 510, F.logsigmoid(above), torch.where(x > 1 - 1 / 510, F.logsigmoid(-below), inside))
    return log_p.sum((1, 2, 3))


def data_sets(folder: Path) -> dict[str, Callable[[], DataModule]]:
    """The same images in memory, in one file, and in a file each."""
    rows = np.random.default_rng(0).integers(0, 256, (ROWS, *SHAPE), dtype=np.uint8)
    np.save(folder / "x.npy", rows)
    (folder / "images").mkdir()
    for number, row in enumerate(rows):
        Image.fromarray(row.transpose(1, 2, 0)).save(folder / "images" / f"{number:04}.png")
    held_out = rows[:10]
    return {
        "in memory": partial(_in_memory, rows, held_out),
        ".npy file": partial(StreamedArrays, train=folder / "x.npy", batch_size=BATCH),
        "folder of PNG": partial(ImageFolder, path=folder / "images", batch_size=BATCH),
    }


def _in_memory(rows: np.ndarray, held_out: np.ndarray) -> ArraysInMemory:
    return Arrays.of(train=rows, valid=held_out, batch_size=BATCH)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the tables and writes them."""
    made = parser("images", __doc__, devices=("cpu",))
    made.add_argument("--steps", type=at_least(WARM_UP + 1), default=60)
    made.add_argument("--rounds", type=at_least(1), default=3)
    options = made.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        makes = data_sets(Path(scratch))
        sides: dict[str, Callable[[], Cost]] = {BARE: lambda: bare(makes["in memory"](), options.steps)}
        sides |= {f"ours, {name}": partial(_ours, make, options.steps) for name, make in makes.items()}
        found = in_turn(sides, options.rounds)
        x = makes["in memory"]().sample_batch()
    rows, targets = [], []
    for name, costs in found.items():
        over_bare = _median([mine.cpu / other.cpu for mine, other in zip(costs, found[BARE], strict=True)])
        over_memory = _median([mine.wall / other.wall for mine, other in zip(costs, found[MEMORY], strict=True)])
        cpu, wall = (_median(each) for each in zip(*costs, strict=True))
        rows.append([name, f"{cpu:.1f}", f"{over_bare:.2f}", f"{wall:.1f}", f"{over_memory:.2f}"])
        if name == MEMORY:
            targets.append(Target(f"{name}, over the bare loop", over_bare, 1.05))
        elif name != BARE:
            targets.append(Target(f"{name}, over ours in memory by the clock", over_memory, 1.10))
    torch.set_num_threads(1)
    shares = {name: share_of_training(partial(vae, network), x, BATCH, 1) for name, network in NETWORKS.items()}
    most = 100.0 * SHARE
    targets += [Target(f"percent of training, {name}", share["share_percent"], most) for name, share in shares.items()]
    Findings(
        how=f"time per step, the median of {options.rounds} rounds of {options.steps} steps",
        listings=[
            Listing("A step on 64 images of 3 x 32 x 32", COLUMNS, rows),
            Listing(
                "Records of the gradient in a run of 10,000 steps, over its training",
                SHARE_COLUMNS,
                [
                    [name, *(f"{share[key]:.0f}" for key in SHARE_KEYS), f"{share['share_percent']:.1f} %"]
                    for name, share in shares.items()
                ],
            ),
        ],
        content={"milliseconds": found, "shares": shares},
        targets=targets,
    ).report(options)


def _median(values: Iterable[float]) -> float:
    return statistics.median(values)


def _ours(make: Callable[[], DataModule], num_steps: int) -> Cost:
    return ours(make(), num_steps)


BARE, MEMORY = "bare loop, in memory", "ours, in memory"
COLUMNS = ("side", "CPU ms", "over the bare loop", "ms by the clock", "over ours in memory")
SHARE_COLUMNS = ("network", "step ms", "measurement ms", "share of training")
SHARE_KEYS = ("trainer_step_ms", "measurement_ms")


if __name__ == "__main__":
    main()
