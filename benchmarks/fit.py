"""Time of our steps beside a bare PyTorch loop, plain Lightning, Pyro, pythae and JAX, on the same model and data.

    OMP_NUM_THREADS=1 python -m benchmarks.fit [--seconds 3] [--rounds 5] [--clock wall|cpu]

All sides run in this process, in turn, for as many steps as take the bare loop `--seconds`. Ours is the whole of a
`Run` between the first batch and the last, with every default record (training metrics, gradient variance, MLflow, and
the wait until the store has it all); start-up, compilation, validation, checkpoints and artifacts are apart on all
sides. "Alone" is our step without a run's loop, callbacks and records: what is left to a run is above it. Printed is
the fastest round of each side, the ratio of those, and the range of the rounds' own ratios. `--clock cpu` counts the
process's CPU time, for a machine that others use. A peer that does not import is reported as absent.
"""

import argparse
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, final

import torch
from benchmarks.cases import (
    ALONE,
    BARE,
    CASES,
    COMPILED,
    COMPILED_ALONE,
    JAX,
    LIGHTNING,
    OURS,
    PYRO,
    PYTHAE,
    WARM_UP,
    Case,
    Setting,
    write_noise,
)
from benchmarks.jax_scan import jax_scan
from benchmarks.measuring import CLOCKS, PACKAGES, Findings, Listing, Ratio, Target, at_least, in_turn, parser, positive
from benchmarks.peers import absent, plain_lightning, pyro_svi, pythae_trainer
from lightning.pytorch import Callback, Trainer
from rich.console import Console

from reparam_suite.running import Observer, Run, Surroundings
from reparam_suite.tracking import RunLogger, TrackingSettings
from reparam_suite.training import Checkpoints, Journal, StopSignals, compile_options
from reparam_suite.training.compiled_step import Compilation
from reparam_suite.training.torch_internals import bare_step


@final
class Clock(Observer, Callback):
    """Seconds from the end of the warm-up to the end of step `last`, when all that was recorded is in the store.

    The time in which checkpoints are written is taken off. It is the last callback of the run that it observes, which
    has no test and no artifacts.
    """

    tests = in_full = False

    def __init__(self, last: int, setting: Setting) -> None:
        self._last = last
        self._now = setting.now
        self._logger: RunLogger | None = None
        self.seconds = 0.0

    def begun(self, logger: RunLogger, journal: Journal) -> Sequence[Callback]:  # noqa: ARG002
        """Itself."""
        self._logger = logger
        return [self]

    def on_train_start(self, trainer: Trainer, *_: Any) -> None:
        """Has checkpoints timed from now on."""
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, Checkpoints):
                callback.write = partial(self._write_apart, callback.write)  # type: ignore[method-assign]

    def _write_apart(self, write: Callable[..., None], *arguments: Any) -> None:
        start = self._now()
        write(*arguments)
        self.seconds -= self._now() - start

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Starts after the warm-up, ends with the last batch."""
        if trainer.global_step == WARM_UP:
            self.seconds = -self._now()
        elif trainer.global_step == self._last:
            assert self._logger is not None
            self._logger.flush(60.0)
            self.seconds += self._now()


def ours(case: Case, steps: int, setting: Setting, *, compiled: bool = False) -> float:
    """Seconds per step of a run."""
    clock = Clock(WARM_UP + steps, setting)
    run = Run(
        case.make,
        setting.data_of(case),
        max_steps=WARM_UP + steps,
        compile=compiled,
        trainer={"accelerator": setting.accelerator, "limit_val_batches": 0},
        tracking=TrackingSettings(root=setting.root / "mlruns"),
    )
    run.fit_within(Surroundings(Console(quiet=True), StopSignals(), relaunch=None, observer=clock))
    return clock.seconds / steps


def bare(case: Case, steps: int, setting: Setting) -> float:
    """Seconds per step of the loop written out by hand."""
    encoder, decoder = (network.to(setting.device) for network in case.networks())
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3, fused=True)

    def step(x: torch.Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        case.loss_of(encoder, decoder, x).backward()
        optimizer.step()

    return setting.seconds_per_step(case, step, steps)


def ours_alone(case: Case, steps: int, setting: Setting, *, compiled: bool = False) -> float:
    """Seconds per step of our steps without the loop, callbacks and records of a run."""
    model: Any = case.make().to(setting.device)
    optimizer = model.configure_optimizers()
    update = bare_step(optimizer)
    compilation = Compilation(model, compile_options(setting.device), told=lambda *_: None) if compiled else None

    def uncompiled(x: torch.Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        model.training_step(x, 0)["loss"].backward()
        update()

    def step(x: torch.Tensor) -> None:
        if compilation is None:
            uncompiled(x)
        elif compilation.takes(x, optimizer):
            compilation.step(x)
        else:  # the first ones, and the smaller batch at an epoch's end
            compilation.before(x, optimizer, None, odd=len(x) < setting.data_of(case).batch_size)
            uncompiled(x)
            compilation.after()

    return setting.seconds_per_step(case, step, steps)


SIDES: dict[str, Callable[[Case, int, Setting], float]] = {
    OURS: ours,
    COMPILED: partial(ours, compiled=True),
    ALONE: ours_alone,
    COMPILED_ALONE: partial(ours_alone, compiled=True),
    BARE: bare,
    LIGHTNING: plain_lightning,
    PYRO: pyro_svi,
    PYTHAE: pythae_trainer,
    JAX: jax_scan,
}


def measure(case: Case, options: argparse.Namespace, setting: Setting, missing: dict[str, str]) -> dict[str, Any]:
    """Milliseconds per step of every side and round, and the ratios."""
    sides = [
        OURS,
        COMPILED,
        ALONE,
        COMPILED_ALONE,
        BARE,
        *(peer for peer in case.peers if peer not in missing),
    ]
    steps = max(100, round(options.seconds / bare(case, 100, setting)))
    timed = {side: partial(SIDES[side], case, steps, setting) for side in sides}
    ms = {side: [1e3 * second for second in seconds] for side, seconds in in_turn(timed, options.rounds).items()}
    over_bare = {side: Ratio.of(m, ms[BARE]) for side, m in ms.items()}
    return {
        "steps": steps,
        "ms": ms,
        "over_bare": {side: ratio.median for side, ratio in over_bare.items()},
        "fastest_over_bare": {side: ratio.of_fastest for side, ratio in over_bare.items()},
        "over_bare_range": {side: [ratio.low, ratio.high] for side, ratio in over_bare.items()},
        "over_ours": {side: Ratio.of(own, ms[OURS]).median for side, own in ms.items()},
    }


def rows(results: dict[str, dict[str, Any]]) -> Iterator[list[str]]:
    """The lines of the table, as text: a `*` marks a target that was missed."""
    for name, result in results.items():
        case = CASES[name]
        for side, ms in result["ms"].items():
            low, high = result["over_bare_range"][side]
            over_bare, over_ours = result["fastest_over_bare"][side], result["over_ours"][side]
            target, least = case.targets.get(side), case.peers.get(side)
            asked = f"at most {target:g}" if target else f"at least {least:g} times ours" if least else ""
            missed = (target is not None and over_bare > target) or (least is not None and over_ours < least)
            yield [
                name,
                side,
                f"{min(ms):.2f}",
                f"{over_bare:.2f}",
                f"{low:.2f} to {high:.2f}",
                f"{over_ours:.2f}",
                asked + "*" * missed,
            ]


def targets(results: dict[str, dict[str, Any]]) -> list[Target]:
    """What our steps may take, and peers' should."""
    found = []
    for name, result in results.items():
        case = CASES[name]
        found += [
            Target(f"{side} / bare loop, {name}", result["fastest_over_bare"][side], target)
            for side, target in case.targets.items()
        ]
        found += [
            Target(f"{side} / ours, {name}", result["over_ours"][side], least, at_least=True)
            for side, least in case.peers.items()
            if least is not None and side in result["over_ours"]
        ]
    return found


COLUMNS = ("model", "side", "ms per step", "over the bare loop", "range", "over ours", "target (* missed)")


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table and writes it."""
    made = parser("fit", __doc__)
    made.add_argument("--seconds", type=positive, default=3.0, help="of a round of the bare loop")
    made.add_argument("--rounds", type=at_least(1), default=5)
    made.add_argument("--clock", choices=CLOCKS, default="wall")
    options = made.parse_args(arguments)
    warnings.filterwarnings("ignore")  # the peers' own
    logging.disable(logging.INFO)
    missing, results = absent(), {}
    with tempfile.TemporaryDirectory() as scratch:
        setting = Setting(CLOCKS[options.clock], options.device, Path(scratch), Path(scratch) / "noise.npz")
        write_noise(setting.noise)
        for name, case in CASES.items():
            results[name] = measure(case, options, setting, missing)
    Findings(
        how=f"{options.clock} time, {options.rounds} rounds",
        listings=[Listing("A training step", COLUMNS, list(rows(results)), num_names=2)],
        content={"clock": options.clock, "absent": missing, "cases": results},
        notes=[f"{side} is absent: {reason}." for side, reason in missing.items()],
        packages=(*PACKAGES, "pyro-ppl", "pythae", "jax"),
        targets=targets(results),
    ).report(options)


if __name__ == "__main__":
    main()
