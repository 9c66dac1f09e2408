"""Time of our training steps over those of a bare PyTorch loop, on the same model and batches.

    python benchmarks/overhead.py [--steps 400] [--rounds 5] [--output overhead.json]

Both sides run in this process, in turn. Ours is the whole of `reparam_suite.fit` between the first batch and the last,
with every default record (training metrics, gradient variance, MLflow); start-up, validation and artifacts are apart
on both sides. The bare loop is written out by hand with the same layers, optimizer and estimator. What is printed is
the median of the rounds' ratios; ratios, since the machine's speed drifts.
"""

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch import Callback
from rich.console import Console
from rich.table import Table
from torch import Tensor

from reparam_suite import fit, runs
from reparam_suite.command_line import Command
from reparam_suite.models import VAE
from reparam_suite.tracking import Store, TrackingSettings
from reparam_suite.training import Checkpoints, Journal, StopSignals

WARM_UP = 50


def gaussian_loss(model: VAE, x: Tensor) -> Tensor:
    """One sample, analytic KL."""
    loc, raw = model.encoder(x).chunk(2, -1)
    scale = F.softplus(raw)
    z = loc + scale * torch.randn_like(loc)
    log_likelihood = -F.binary_cross_entropy_with_logits(model.decoder(z), x, reduction="none").sum(-1)
    kl = 0.5 * (loc.square() + scale.square() - 1.0).sum(-1) - scale.log().sum(-1)
    return (kl - log_likelihood).mean()


def leave_one_out_loss(model: VAE, x: Tensor) -> Tensor:
    """Four samples, leave-one-out baseline, analytic KL."""
    logits = model.encoder(x)
    p = logits.sigmoid()
    z = torch.bernoulli(p.detach().expand(4, *p.shape))
    pixels = model.decoder(z)
    log_likelihood = -F.binary_cross_entropy_with_logits(pixels, x.expand_as(pixels), reduction="none").sum(-1)
    log_q = -F.binary_cross_entropy_with_logits(logits.expand_as(z), z, reduction="none").sum(-1)
    credit = (log_likelihood - log_likelihood.mean(0)).detach() / 3.0
    kl = (p * logits - F.softplus(logits)).sum(-1)
    return (kl - log_likelihood.mean(0) - (credit * log_q).sum(0)).mean()


CASES: dict[str, tuple[list[str], Callable[[VAE, Tensor], Tensor]]] = {
    "Gaussian, 64-200-200-10 (digits)": (["--data=Digits"], gaussian_loss),
    "Gaussian, 784-200-200-50": (["--data=Noise", "--model.latent_size=50"], gaussian_loss),
    "discrete, 784-200-200-200, LeaveOneOut K = 4": (["--model=DiscreteVAE", "--data=Noise"], leave_one_out_loss),
}


class Clock(Callback):
    """Seconds from the end of the warm-up to the end of the last batch."""

    def __init__(self, last: int) -> None:
        self._last = last
        self.seconds = 0.0

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        """Starts after the warm-up, ends with the last batch."""
        if trainer.global_step == WARM_UP:
            self.seconds = -time.perf_counter()
        elif trainer.global_step == self._last:
            self.seconds += time.perf_counter()


def ours(args: list[str], steps: int, root: Path) -> float:
    """Seconds a step of our fit."""
    last = WARM_UP + steps
    command = Command(
        [*args, f"--trainer.max_steps={last}", "--trainer.limit_val_batches=0", "--trainer.accelerator=cpu"]
    )
    command.datamodule.setup()
    store = Store.open(TrackingSettings(root=root))
    logger = store.start_run(name="overhead", parameters={}, tags={})
    journal, checkpoints, clock = Journal(), Checkpoints(), Clock(last)
    journal.logger = command.trainer.logger = logger
    console = Console(file=open("/dev/null", "w"))  # noqa: SIM115
    command.trainer.callbacks.extend(  # type: ignore[attr-defined]
        [*runs.callbacks(command, journal, checkpoints, console, StopSignals()), clock]
    )
    command.trainer.fit(command.model, datamodule=command.datamodule)
    logger.close("FINISHED")
    return clock.seconds / steps


def bare(args: list[str], loss_of: Callable[[VAE, Tensor], Tensor], steps: int) -> float:
    """Seconds a step of the loop written out by hand."""
    command = Command([*args, "--trainer.accelerator=cpu"])
    command.datamodule.setup()
    model = command.model
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    batches = _forever(command.datamodule)
    start = 0.0
    for step in range(WARM_UP + steps):
        if step == WARM_UP:
            start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss_of(model, next(batches)).backward()
        optimizer.step()
    return (time.perf_counter() - start) / steps


def _forever(data: Any) -> Iterator[Tensor]:
    batches = data.train_dataloader()
    while True:
        yield from batches


def main() -> None:
    """Prints the table and writes the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=400, help="steps a round, after the warm-up")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/overhead.json"))
    options = parser.parse_args()
    fit.quiet()
    table = Table(title=f"Our training step over a bare loop's, {torch.get_num_threads()} threads")
    for column in ("model", "ours, ms", "bare loop, ms", "ratio", "range"):
        table.add_column(column, justify="left" if column == "model" else "right")
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        noise = Path(scratch) / "noise.npz"
        _write_noise(noise)
        for name, (args, loss_of) in CASES.items():
            args = [each.replace("--data=Noise", f"--data=Arrays --data.path={noise}") for each in args]
            args = [part for each in args for part in each.split(" ")]
            pairs = [
                (ours(args, options.steps, Path(scratch) / "mlruns"), bare(args, loss_of, options.steps))
                for _ in range(options.rounds)
            ]
            ratios = [a / b for a, b in pairs]
            results[name] = {"ms": [[1e3 * a, 1e3 * b] for a, b in pairs], "ratio": statistics.median(ratios)}
            table.add_row(
                name,
                *[f"{1e3 * statistics.median(side):.2f}" for side in zip(*pairs, strict=True)],
                f"{statistics.median(ratios):.2f}",
                f"{min(ratios):.2f} to {max(ratios):.2f}",
            )
    Console().print(table)
    machine = {"machine": platform.machine(), "torch": torch.__version__, "threads": torch.get_num_threads()}
    options.output.write_text(json.dumps({**machine, "steps": options.steps, "cases": results}, indent=2) + "\n")


def _write_noise(file: Path) -> None:
    # As large as an epoch of MNIST's batches of 100 needs to be; the cost of a step does not depend on what is seen.
    import numpy as np

    rows = np.random.default_rng(0).integers(0, 2, (10_000, 784), dtype=np.uint8)
    np.savez(file, x_train=rows, x_valid=rows[:500], x_test=rows[:500])


if __name__ == "__main__":
    main()
