"""The importance-weighted bound of so many samples that it is paid for on a part of the data."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from reparam_suite.diagnostics.memory import peak_bytes
from reparam_suite.models import VAE
from reparam_suite.objectives import held_out_bounds
from reparam_suite.runtime.random_streams import forked_generator

EVALUATION_BUDGET = 2**28
"""256 MiB of tensors that an evaluation may hold at a time; larger chunks are no faster."""

_ROWS = 100
_SEED = 5_209_881  # the same noise for every run, so that their bounds compare


@final
@dataclass(frozen=True, kw_only=True)
class EstimatedBound:
    """A bound on the mean of log p(x) over a data set, in nats; both are `[]`.

    Attributes:
        value: mean over all data.
        standard_error: of what the data that were left out add to it; 0 if there are none.
    """

    value: Tensor
    standard_error: Tensor


@torch.no_grad()
def bounds_of_samples(model: VAE, x: Tensor, num_samples: int, *, memory_budget: int = EVALUATION_BUDGET) -> Tensor:
    """The importance-weighted bound with K = `num_samples` hard samples of q for each datum of x `[N, P]`, `[N]`.

    Data are taken a hundred at a time, or as many as the budget holds one sample of, and their samples in chunks that
    fit into it. Nothing of the training moves, and the noise is the same at every call.

    Raises:
        ValueError: if `memory_budget` is too small for one sample of one datum, naming the smallest that works.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with forked_generator(x.device, _SEED):
            rows = min(_ROWS, len(x))
            held = _held_at_a_time(model, x[:rows])
            if held > memory_budget:
                rows = max(1, rows * memory_budget // held)
                held = _held_at_a_time(model, x[:rows])
            if held > memory_budget:
                raise ValueError(
                    f"memory_budget of {memory_budget:,} bytes is too small for a sample of one datum: "
                    f"the smallest that works is {held:,}"
                )
            elements = memory_budget // held * x[:rows].numel()
            torch.manual_seed(_SEED)
            return torch.cat([held_out_bounds(model, each, num_samples, elements)["bound"] for each in x.split(rows)])
    finally:
        for module, mode in modes:
            module.training = mode


def bound_of_many_samples(
    model: VAE,
    x: Tensor,
    num_samples: int,
    *,
    num_data: int,
    few_samples: int,
    bound_of_few: Tensor,
    memory_budget: int = EVALUATION_BUDGET,
) -> EstimatedBound:
    """The K-sample bound over all data, from `num_data` of them spread evenly: a difference, which varies little.

    mean over all of bound_k + mean over the N of (bound_K - bound_k)

    Unbiased if the N are like the rest. With N at least the number of data it is bound_K itself.

    Args:
        model: whose bound it is.
        x: all data, `[N, P]`.
        num_samples: K.
        num_data: N, at least 2.
        few_samples: k, of the bound that all data have been paid for.
        bound_of_few: its mean over all data, `[]`.
        memory_budget: bytes.

    Raises:
        ValueError: if `num_data` is below 2, or as `bounds_of_samples`.
    """
    if num_data < 2:
        raise ValueError(f"num_data must be at least 2 for a standard error, got {num_data}")
    if num_data >= len(x):
        value = bounds_of_samples(model, x, num_samples, memory_budget=memory_budget).mean()
        return EstimatedBound(value=value, standard_error=torch.zeros_like(value))
    some = x[torch.arange(num_data, device=x.device) * len(x) // num_data]
    many, few = (bounds_of_samples(model, some, K, memory_budget=memory_budget) for K in (num_samples, few_samples))
    gain = many - few
    missing = 1.0 - num_data / len(x)
    return EstimatedBound(value=bound_of_few + gain.mean(), standard_error=(gain.var() * missing / num_data).sqrt())


def _held_at_a_time(model: VAE, x: Tensor) -> int:
    return max(1, peak_bytes(lambda: held_out_bounds(model, x, 1), x.device))
