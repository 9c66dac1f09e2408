"""The least that a training step can take: its arithmetic and its memory traffic over this machine's measured rates.

    OMP_NUM_THREADS=1 python -m benchmarks.floor [--rounds 9]

Arithmetic: the operations of all matrix products of the bare loop's step, forward and backward, over the
rate of the product that the decoder's last layer is. Memory: what Adam reads and writes, seven numbers
a parameter, over the rate of a copy of as many bytes; the products read the parameters once more and are not counted.
CPU time, the fastest of the rounds: a floor. Element-wise operations and the interpreter come on top of both.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from benchmarks.cases import CASES, Case, Setting, write_noise
from benchmarks.fit import bare
from benchmarks.measuring import Findings, Listing, at_least, parser
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

ADAM_TRAFFIC = 7  # a parameter: read itself, its gradient and two moments; write all but the gradient
COLUMNS = ("model", "Mflop", "MB of Adam", "Gflop/s", "GB/s", "floor, ms", "bare loop, ms", "bare loop over the floor")


def fastest(call: Callable[[], object], rounds: int) -> float:
    """Seconds of CPU time of one call."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        for _ in range(10):
            call()
        times.append((time.process_time() - start) / 10)
    return min(times)


def floor(case: Case, rounds: int, setting: Setting) -> dict[str, float]:
    """Operations, bytes, rates and milliseconds of one case."""
    encoder, decoder = case.networks()
    x = next(setting.batches(case))
    with FlopCounterMode(display=False) as counter:
        case.loss_of(encoder, decoder, x).backward()
    num_parameters = sum(parameter.numel() for network in (encoder, decoder) for parameter in network.parameters())
    traffic = ADAM_TRAFFIC * 4 * num_parameters
    weight: Tensor = [layer for layer in decoder.modules() if isinstance(layer, nn.Linear)][-1].weight
    hidden = torch.randn(len(x), weight.shape[1])
    with torch.no_grad():
        product = fastest(lambda: hidden @ weight.T, rounds)
    rate = 2 * len(x) * weight.numel() / product
    source = torch.randn(traffic // 8)
    target = torch.empty_like(source)
    bandwidth = 8 * len(source) / fastest(lambda: target.copy_(source), rounds)
    flops = counter.get_total_flops()
    return {
        "flops": flops,
        "bytes": traffic,
        "flops_per_second": rate,
        "bytes_per_second": bandwidth,
        "floor_ms": 1e3 * (flops / rate + traffic / bandwidth),
        "bare_ms": 1e3 * min(bare(case, 100, setting) for _ in range(3)),
    }


def row(name: str, found: dict[str, float]) -> list[str]:
    """A line of the table."""
    return [
        name,
        f"{found['flops'] / 1e6:.0f}",
        f"{found['bytes'] / 1e6:.1f}",
        f"{found['flops_per_second'] / 1e9:.0f}",
        f"{found['bytes_per_second'] / 1e9:.1f}",
        f"{found['floor_ms']:.2f}",
        f"{found['bare_ms']:.2f}",
        f"{found['bare_ms'] / found['floor_ms']:.1f}",
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table and writes it."""
    made = parser("floor", __doc__, devices=("cpu",))
    made.add_argument("--rounds", type=at_least(1), default=9)
    options = made.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        setting = Setting(time.process_time, options.device, Path(scratch), Path(scratch) / "noise.npz")
        write_noise(setting.noise)
        cases: dict[str, Any] = {name: floor(case, options.rounds, setting) for name, case in CASES.items()}
    Findings(
        how=f"CPU time, the fastest of {options.rounds} rounds",
        listings=[Listing("The floor of a training step", COLUMNS, [row(*item) for item in cases.items()])],
        content={"cases": cases},
    ).report(options)


if __name__ == "__main__":
    main()
