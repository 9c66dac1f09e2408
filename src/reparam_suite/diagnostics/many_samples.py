"""The importance-weighted bound of so many samples that it is computed on a part of the data alone."""

import math
from dataclasses import dataclass
from typing import Protocol, final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from reparam_suite.diagnostics.memory import peak_bytes
from reparam_suite.runtime.random_streams import forked_generator, seed_generator

_BUDGET_ON_CPU = 2**24
"""Bytes of tensors that an evaluation holds at a time: what a processor's cache keeps; 2^28 takes twice as long."""

_BUDGET_ON_GPU = 2**28
"""The same on a GPU, where larger chunks are no faster."""

_ROWS = 100
_SEED = 5_209_881  # the same noise for every run, so that their bounds compare


class LatentVariableModel(Protocol):
    """A module with q(z|x), p(x|z) and p(z): a VAE."""

    def posterior(self, x: Tensor, /) -> Distribution:
        """q(z|x), batch_shape `[B]`."""

    def prior(self) -> Distribution:
        """p(z), batch_shape `[]`; of several layers, with `log_ratio(z)` at one hard sample of those above."""

    def log_likelihood(self, x: Tensor, z: Tensor, /) -> Tensor:
        """log p(x|z), `[K, B]` in nats."""


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
def bounds_of_samples(
    model: LatentVariableModel, x: Tensor, num_samples: int, *, memory_budget: int | None = None
) -> Tensor:
    """The importance-weighted bound with K = `num_samples` hard samples of q for each datum of x `[N, ...]`, `[N]`.

    Data are taken a hundred at a time, or as many as the budget holds one sample of, and their samples in chunks that
    fit into it. Nothing of the training moves, and the noise is the same at every call.

    Raises:
        ValueError: if `memory_budget` is too small for one sample of one datum, naming the smallest that works.
    """
    assert isinstance(model, nn.Module)
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with forked_generator(x.device, _SEED):
            if memory_budget is None:
                fastest = _BUDGET_ON_CPU if x.device.type == "cpu" else _BUDGET_ON_GPU
                memory_budget = max(fastest, _held_at_a_time(model, x[:1]))
            rows = min(_ROWS, len(x))
            held = _held_at_a_time(model, x[:rows])
            if held > memory_budget:
                rows = max(1, rows * memory_budget // held)
                held = _held_at_a_time(model, x[:rows])
            if held > memory_budget:
                raise ValueError(
                    f"memory_budget: expected at least {held:,} bytes for a sample of one datum, got {memory_budget:,}"
                )
            seed_generator(x.device, _SEED)
            chunk = memory_budget // held
            return torch.cat([importance_bound(model, some, num_samples, chunk) for some in x.split(rows)])
    finally:
        for module, mode in modes:
            module.training = mode


def importance_bound(model: LatentVariableModel, x: Tensor, num_samples: int, chunk: int) -> Tensor:
    """log 1/K sum_k p(x, z_k) / q(z_k|x) for each datum of x, `[B]`, from posterior, prior and likelihood alone.

    Args:
        model: of x.
        x: `[B, ...]`.
        num_samples: K, hard samples of q.
        chunk: how many of them are drawn at a time.
    """
    q, p = model.posterior(x), model.prior()
    log_prior = getattr(p, "log_ratio", p.log_prob)
    log_sum = torch.full((len(x),), -torch.inf, dtype=x.dtype, device=x.device)
    for start in range(0, num_samples, chunk):
        z = q.sample(torch.Size([min(chunk, num_samples - start)]))
        log_weights = model.log_likelihood(x, z) + log_prior(z) - q.log_prob(z)
        log_sum = torch.logaddexp(log_sum, log_weights.logsumexp(0))
    return log_sum - math.log(num_samples)


def bound_of_many_samples(
    model: LatentVariableModel,
    x: Tensor,
    num_samples: int,
    *,
    num_data: int,
    few_samples: int,
    bound_of_few: Tensor,
    memory_budget: int | None = None,
) -> EstimatedBound:
    """The K-sample bound over all data, from `num_data` of them evenly spaced: a difference, which varies little.

    mean over all of bound_k + mean over the N of (bound_K - bound_k)

    Unbiased if the N are like the rest. With N at least the number of data it is bound_K itself.

    Args:
        model: whose bound it is.
        x: all data, `[N, ...]`.
        num_samples: K.
        num_data: N, at least 2.
        few_samples: k, of the bound that was computed on all data.
        bound_of_few: its mean over all data, `[]`.
        memory_budget: bytes; by default what is fastest on the device.

    Raises:
        ValueError: if `num_data` is below 2, or as `bounds_of_samples`.
    """
    if num_data < 2:
        raise ValueError(f"num_data: expected at least 2, for a standard error, got {num_data}")
    if num_data >= len(x):
        value = bounds_of_samples(model, x, num_samples, memory_budget=memory_budget).mean()
        return EstimatedBound(value=value, standard_error=torch.zeros_like(value))
    some = x[torch.arange(num_data, device=x.device) * len(x) // num_data]
    many, few = (bounds_of_samples(model, some, K, memory_budget=memory_budget) for K in (num_samples, few_samples))
    gain = many - few
    missing = 1.0 - num_data / len(x)
    return EstimatedBound(value=bound_of_few + gain.mean(), standard_error=(gain.var() * missing / num_data).sqrt())


def _held_at_a_time(model: LatentVariableModel, x: Tensor) -> int:
    return max(1, peak_bytes(lambda: importance_bound(model, x, 1, 1), x.device))
