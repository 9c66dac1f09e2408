"""Memory of a measurement: what one datum needs, and how many fit into a budget; and the peak of any computation."""

from collections.abc import Callable
from typing import Any, final

import torch
from torch.multiprocessing.reductions import StorageWeakRef

from reparam_suite.diagnostics.torch_internals import TorchDispatchMode, storage_key, tensors_of

DEFAULT_BUDGET = 2**30
"""1 GiB of tensors that a measurement may hold at a time."""


@final
class MemoryBudgetError(ValueError):
    """A budget in which not even one datum can be measured.

    Attributes:
        needed: the smallest that works, in bytes.
    """

    def __init__(self, memory_budget: int, num_repeats: int, needed: int) -> None:
        super().__init__(
            f"memory_budget: expected at least {needed:,} bytes for {num_repeats} gradients of one datum, "
            f"got {memory_budget:,}"
        )
        self.needed = needed


def graph_bytes(forward: Callable[[], object]) -> int:
    """Bytes that `forward` makes and its result keeps for the backward pass; what was there before is not counted.

    The tensors are counted that are alive at its end: hooks on saved tensors do not go with torch.func, by which the
    log-density of a frozen distribution is differentiated.
    """
    live = _MadeTensors()
    with live:
        result = forward()
    kept = live.bytes_alive()
    del result
    return kept


def peak_bytes(computation: Callable[[], object], device: torch.device) -> int:
    """The most memory that `computation` holds at a time, in bytes, over what was held before.

    On CUDA the allocator's own figure; elsewhere the tensors that are alive after each operation, without the scratch
    memory of a single kernel.
    """
    if device.type == "cuda":
        before: int = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        computation()
        peak: int = torch.cuda.max_memory_allocated(device)
        return max(0, peak - before)
    live = _LiveTensors()
    with live:
        computation()
    return live.peak


class _MadeTensors(TorchDispatchMode):
    # Keeps each storage from the operation that made it: a weak reference, so that its key is of no other meanwhile.
    def __init__(self) -> None:
        super().__init__()
        self.made: dict[int, tuple[StorageWeakRef, int]] = {}
        self.total = 0  # bytes of all that are kept

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        given = {storage_key(tensor) for tensor in tensors_of((args, kwargs))}
        for tensor in tensors_of(result):
            if (key := storage_key(tensor)) not in given and key not in self.made:
                storage = tensor.untyped_storage()
                self.made[key] = (StorageWeakRef(storage), storage.nbytes())
                self.total += storage.nbytes()
        return result

    def bytes_alive(self) -> int:
        """Of all storages that are still there; the others are forgotten."""
        self.made = {key: held for key, held in self.made.items() if not held[0].expired()}
        self.total = sum(size for _, size in self.made.values())
        return self.total


@final
class _LiveTensors(_MadeTensors):
    # Looks at what is alive after each operation that could make it more than ever before.
    def __init__(self) -> None:
        super().__init__()
        self.peak = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = super().__torch_dispatch__(func, types, args, kwargs)
        if self.total > self.peak:
            self.peak = max(self.peak, self.bytes_alive())
        return result
