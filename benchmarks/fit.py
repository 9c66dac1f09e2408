"""Time of our training steps beside a bare PyTorch loop, plain Lightning, Pyro and pythae, on the same model and data.

    OMP_NUM_THREADS=1 python -m benchmarks.fit [--seconds 3] [--rounds 5] [--clock wall|cpu] [--compiled]

All sides run in this process, in turn, for as many steps as take the bare loop `--seconds`. Ours is the whole of
`reparam_suite.fit` between the first batch and the last, with every default record (training metrics, gradient
variance, MLflow, and the wait until the store has it all); start-up, validation, checkpoints and artifacts are apart on
all sides. What is printed is the median of the rounds' ratios; ratios, since the machine's speed drifts. `--clock cpu`
counts the process's CPU time, for a machine that others use. A peer that does not import is reported as absent.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import statistics
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from benchmarks.measuring import CLOCKS, PACKAGES, Findings, Listing, Ratio, at_least, in_turn, parser, positive
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger
from rich.console import Console
from torch import Tensor, nn

from reparam_suite import command_line, runs
from reparam_suite.commands.command_line import Command
from reparam_suite.models import VAE
from reparam_suite.networks import mlp
from reparam_suite.tracking import Store, TrackingSettings
from reparam_suite.training import Checkpoints, Journal
from reparam_suite.training.stopping import StopSignals

WARM_UP = 50
OURS, BARE, LIGHTNING, PYRO, PYTHAE = "ours", "bare loop", "plain Lightning", "Pyro SVI", "pythae"
COMPILED = "ours, compiled"


@dataclass(frozen=True)
class Setting:
    """What all sides run on: the clock, the device, and where ours records."""

    now: Callable[[], float]
    device: torch.device
    root: Path


@dataclass(frozen=True)
class Case:
    """A model and its targets: ours at most so many times the bare loop, a peer at least so many times ours.

    Args:
        sizes: data, hidden layers, latents.
        options: of `reparam_suite.fit`.
        loss_of: the loss of the bare loop.
        target: of ours over the bare loop.
        peers: of each peer over ours; None where nothing is asked.
    """

    sizes: tuple[int, ...]
    options: tuple[str, ...]
    loss_of: Callable[[VAE, Tensor], Tensor]
    target: float | None
    peers: dict[str, float | None]


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


def _gaussian(data: str, *sizes: int) -> tuple[str, ...]:
    return (f"--data={data}", f"--model.latent_size={sizes[-1]}", f"--model.hidden_sizes={list(sizes[1:-1])}")


CASES = {
    "Gaussian, 64-200-200-10 (digits)": Case(
        (64, 200, 200, 10),
        _gaussian("Digits", 64, 200, 200, 10),
        gaussian_loss,
        1.3,
        {LIGHTNING: 3.0, PYRO: None, PYTHAE: None},
    ),
    "Gaussian, 784-200-200-50": Case(
        (784, 200, 200, 50),
        _gaussian("Noise", 784, 200, 200, 50),
        gaussian_loss,
        1.05,
        {LIGHTNING: None, PYRO: 1.5, PYTHAE: 3.0},
    ),
    "Gaussian, 784-512-512-50": Case(
        (784, 512, 512, 50),
        _gaussian("Noise", 784, 512, 512, 50),
        gaussian_loss,
        None,
        {LIGHTNING: None, PYRO: None, PYTHAE: None},
    ),
    "discrete, 784-200-200-200, LeaveOneOut K = 4": Case(
        (784, 200, 200, 200), ("--model=DiscreteVAE", "--data=Noise"), leave_one_out_loss, 1.05, {}
    ),
}


class Clock(Callback):
    """Seconds from the end of the warm-up to the end of step `last`, when all that was recorded is in the store."""

    def __init__(self, last: int, now: Callable[[], float]) -> None:
        self._last = last
        self._now = now
        self.seconds = 0.0

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        """Starts after the warm-up, ends with the last batch."""
        if trainer.global_step == WARM_UP:
            self.seconds = -self._now()
        elif trainer.global_step == self._last:
            for logger in trainer.loggers:
                logger.save() if isinstance(logger, CSVLogger) else logger.flush(60.0)
            self.seconds += self._now()


def command_of(case: Case, setting: Setting, *options: str) -> Command:
    """The parsed command line, its data loaded."""
    accelerator = "gpu" if setting.device.type == "cuda" else "cpu"
    command = Command([*case.options, f"--trainer.accelerator={accelerator}", *options])
    command.datamodule.setup()
    return command


def ours(case: Case, steps: int, setting: Setting, *options: str) -> float:
    """Seconds a step of our fit, with further options of it."""
    last = WARM_UP + steps
    command = command_of(case, setting, f"--trainer.max_steps={last}", "--trainer.limit_val_batches=0", *options)
    logger = Store.open(TrackingSettings(root=setting.root)).start_run(name="benchmark", parameters={}, tags={})
    journal, checkpoints, clock = Journal(), Checkpoints(), Clock(last, setting.now)
    journal.logger = command.trainer.logger = logger
    console = Console(file=open("/dev/null", "w"))  # noqa: SIM115
    made = runs.callbacks(command, journal, checkpoints, console, StopSignals())
    command.trainer.callbacks.extend([*made, clock])  # type: ignore[attr-defined]
    command.trainer.fit(command.model, datamodule=command.datamodule)
    logger.close("FINISHED")
    return clock.seconds / steps


def bare(case: Case, steps: int, setting: Setting) -> float:
    """Seconds a step of the loop written out by hand."""
    command = command_of(case, setting)
    model = command.model.to(setting.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)

    def step(x: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        case.loss_of(model, x).backward()
        optimizer.step()

    return _timed(step, _forever(command.datamodule, setting), steps, setting)


class PlainVAE(LightningModule):
    """The Gaussian VAE as one writes it in Lightning, with five metrics logged at each step."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def training_step(self, x: Tensor) -> Tensor:
        """The loss."""
        loc, raw = self.encoder(x).chunk(2, -1)
        scale = F.softplus(raw)
        z = loc + scale * torch.randn_like(loc)
        reconstruction = -F.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="none").sum(-1).mean()
        kl = (0.5 * (loc.square() + scale.square() - 1.0).sum(-1) - scale.log().sum(-1)).mean()
        loss = kl - reconstruction
        self.log("train/loss", loss)
        self.log("train/elbo", -loss)
        self.log("train/reconstruction", reconstruction)
        self.log("train/kl", kl)
        self.log("train/scale", scale.mean())
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.parameters(), lr=1e-3, fused=True)


def plain_lightning(case: Case, steps: int, setting: Setting) -> float:
    """Seconds a step of Lightning's Trainer, with its CSV logger."""
    clock = Clock(WARM_UP + steps, setting.now)
    command = command_of(case, setting)
    trainer = Trainer(
        max_steps=WARM_UP + steps,
        accelerator="gpu" if setting.device.type == "cuda" else "cpu",
        devices=1,
        logger=CSVLogger(setting.root / "csv"),
        callbacks=[clock],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
    )
    trainer.fit(PlainVAE(command.model.encoder, command.model.decoder), command.datamodule)
    return clock.seconds / steps


def pyro_svi(case: Case, steps: int, setting: Setting) -> float:
    """Seconds a step of SVI with the analytic KL."""
    import pyro
    import pyro.distributions as dist
    from pyro.infer import SVI, TraceMeanField_ELBO

    num_features, *hidden, latent_size = case.sizes
    encoder = mlp(num_features, hidden, 2 * latent_size, "relu").to(setting.device)
    decoder = mlp(latent_size, hidden[::-1], num_features, "relu").to(setting.device)
    zeros = torch.zeros(latent_size, device=setting.device)

    def model(x: Tensor) -> None:
        pyro.module("decoder", decoder)
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(zeros, 1.0).expand([len(x), latent_size]).to_event(1))
            pyro.sample("x", dist.Bernoulli(logits=decoder(z)).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        pyro.module("encoder", encoder)
        with pyro.plate("data", len(x)):
            loc, raw = encoder(x).chunk(2, -1)
            pyro.sample("z", dist.Normal(loc, F.softplus(raw)).to_event(1))

    pyro.clear_param_store()
    svi = SVI(model, guide, pyro.optim.Adam({"lr": 1e-3, "fused": True}), TraceMeanField_ELBO())
    return _timed(svi.step, _forever(command_of(case, setting).datamodule, setting), steps, setting)


def pythae_trainer(case: Case, steps: int, setting: Setting) -> float:
    """Seconds a step of pythae's BaseTrainer."""
    import pythae.models as theirs
    from pythae.data.datasets import BaseDataset
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback

    num_features, *hidden, latent_size = case.sizes

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.network = mlp(num_features, hidden, 2 * latent_size, "relu")

        def forward(self, x: Tensor) -> Any:
            loc, log_variance = self.network(x).chunk(2, -1)
            return ModelOutput(embedding=loc, log_covariance=log_variance)

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.network = mlp(latent_size, hidden[::-1], num_features, "relu")

        def forward(self, z: Tensor) -> Any:
            return ModelOutput(reconstruction=self.network(z).sigmoid())

    class Steps(TrainingCallback):
        def __init__(self) -> None:
            self.number, self.seconds = 0, 0.0

        def on_train_step_end(self, *_: Any, **__: Any) -> None:
            self.number += 1
            if self.number == WARM_UP:
                self.seconds = -setting.now()
            elif self.number == WARM_UP + steps:
                self.seconds += setting.now()

    data = command_of(case, setting).datamodule
    x = torch.cat(list(data.train_dataloader())).cpu()
    clock = Steps()
    config = BaseTrainerConfig(
        output_dir=str(setting.root / "pythae"),
        per_device_train_batch_size=data.batch_size,
        num_epochs=-(-(WARM_UP + steps) // -(-len(x) // data.batch_size)),
        optimizer_params={"fused": True},
        learning_rate=1e-3,
        no_cuda=setting.device.type == "cpu",
        keep_best_on_train=True,
    )
    vae = theirs.VAE(
        theirs.VAEConfig(input_dim=(num_features,), latent_dim=latent_size, reconstruction_loss="bce"),
        Encoder(),
        Decoder(),
    )
    trainer = BaseTrainer(
        vae, train_dataset=BaseDataset(x, torch.zeros(len(x))), training_config=config, callbacks=[clock]
    )
    with redirect_stderr(StringIO()):  # its bars
        trainer.train()
    return clock.seconds / steps


SIDES: dict[str, Callable[[Case, int, Setting], float]] = {
    OURS: ours,
    COMPILED: lambda case, steps, setting: ours(case, steps, setting, "--compile=true"),
    BARE: bare,
    LIGHTNING: plain_lightning,
    PYRO: pyro_svi,
    PYTHAE: pythae_trainer,
}


def _timed(step: Callable[[Tensor], object], batches: Iterator[Tensor], steps: int, setting: Setting) -> float:
    for x in itertools.islice(batches, WARM_UP):
        step(x)
    _synchronize(setting.device)
    start = setting.now()
    for x in itertools.islice(batches, steps):
        step(x)
    _synchronize(setting.device)
    return (setting.now() - start) / steps


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _forever(data: Any, setting: Setting) -> Iterator[Tensor]:
    while True:
        for x in data.train_dataloader():
            yield x.to(setting.device)


def absent() -> dict[str, str]:
    """The peers that do not import, with the reason."""
    reasons = {}
    for side, module in {PYRO: "pyro", PYTHAE: "pythae.trainers"}.items():
        try:
            __import__(module)
        except ImportError as error:
            reasons[side] = str(error)
    return reasons


def measure(case: Case, options: argparse.Namespace, setting: Setting, missing: dict[str, str]) -> dict[str, Any]:
    """Milliseconds a step of every side and round, and the ratios."""
    sides = [
        OURS,
        *([COMPILED] if options.compiled else []),
        BARE,
        *(each for each in case.peers if each not in missing),
    ]
    steps = max(100, round(options.seconds / bare(case, 100, setting)))
    timed = {side: partial(SIDES[side], case, steps, setting) for side in sides}
    ms = {side: [1e3 * each for each in seconds] for side, seconds in in_turn(timed, options.rounds).items()}
    over_bare = {side: Ratio.of(each, ms[BARE]) for side, each in ms.items()}
    return {
        "steps": steps,
        "ms": ms,
        "over_bare": {side: each.median for side, each in over_bare.items()},
        "over_bare_range": {side: [each.low, each.high] for side, each in over_bare.items()},
        "over_ours": {side: Ratio.of(each, ms[OURS]).median for side, each in ms.items()},
    }


def rows(results: dict[str, dict[str, Any]]) -> Iterator[list[str]]:
    """The lines of the table, as text: a `*` marks a target that was missed."""
    for name, result in results.items():
        case = CASES[name]
        for side, ms in result["ms"].items():
            low, high = result["over_bare_range"][side]
            over_bare, over_ours = result["over_bare"][side], result["over_ours"][side]
            target, least = (case.target if side == OURS else None), case.peers.get(side)
            asked = f"at most {target:g}" if target else f"at least {least:g} times ours" if least else ""
            missed = (target is not None and over_bare > target) or (least is not None and over_ours < least)
            yield [
                name,
                side,
                f"{statistics.median(ms):.2f}",
                f"{over_bare:.2f}",
                f"{low:.2f} to {high:.2f}",
                f"{over_ours:.2f}",
                asked + "*" * missed,
            ]


COLUMNS = ("model", "side", "ms a step", "over the bare loop", "range", "over ours", "target (* missed)")


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table, writes the JSON and the page."""
    made = parser("fit", __doc__)
    made.add_argument("--seconds", type=positive, default=3.0, help="of a round of the bare loop")
    made.add_argument("--rounds", type=at_least(1), default=5)
    made.add_argument("--compiled", action="store_true", help="our steps under torch.compile as well")
    made.add_argument("--clock", choices=CLOCKS, default="wall")
    options = made.parse_args(arguments)
    command_line.quiet()
    warnings.filterwarnings("ignore")  # the peers' own
    logging.disable(logging.INFO)
    missing, results = absent(), {}
    with tempfile.TemporaryDirectory() as scratch:
        setting = Setting(CLOCKS[options.clock], options.device, Path(scratch) / "mlruns")
        noise = Path(scratch) / "noise.npz"
        write_noise(noise)
        for name, case in CASES.items():
            results[name] = measure(on_noise(noise, case), options, setting, missing)
    Findings(
        how=f"{options.clock} time, {options.rounds} rounds",
        listings=[Listing("A training step", COLUMNS, list(rows(results)), num_names=2)],
        content={"clock": options.clock, "absent": missing, "cases": results},
        notes=[f"{side} is absent: {reason}." for side, reason in missing.items()],
        packages=(*PACKAGES, "pyro-ppl", "pythae"),
    ).report(options)


def on_noise(noise: Path, case: Case) -> Case:
    """The case with the file `noise` where it asks for noise."""
    options: list[str] = []
    for each in case.options:
        options += ["--data=Arrays", f"--data.path={noise}"] if each == "--data=Noise" else [each]
    return Case(case.sizes, tuple(options), case.loss_of, case.target, case.peers)


def write_noise(file: Path) -> None:
    """10,000 rows of 784 bits to train on."""
    # As large as an epoch of MNIST's batches of 100 needs to be; the cost of a step does not depend on what is seen.
    rows = np.random.default_rng(0).integers(0, 2, (10_000, 784), dtype=np.uint8)
    np.savez(file, x_train=rows, x_valid=rows[:500], x_test=rows[:500])


if __name__ == "__main__":
    main()
