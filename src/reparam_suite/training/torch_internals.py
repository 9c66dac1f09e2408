"""Private names of PyTorch that training relies on, each with the reason why no public one will do.

`tests/training/test_torch_internals.py` fails when one of them is gone or means something else.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch.optim import Optimizer
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

__all__ = ["bare_step", "has_compiler"]


def bare_step(optimizer: Optimizer) -> Callable[[], object]:
    """The optimizer's step without the profiler's record around it, a twentieth of a small model's whole step.

    PyTorch opens that record unconditionally. A step that was put in the place of the optimizer's own, or hooks on it,
    are respected: then it is `optimizer.step`.
    """
    hooks = (
        *optimizer._optimizer_step_pre_hooks,
        *optimizer._optimizer_step_post_hooks,
        *_global_optimizer_pre_hooks,
        *_global_optimizer_post_hooks,
    )
    step = type(optimizer).step
    if hooks or "step" in vars(optimizer) or not getattr(step, "hooked", False):
        return optimizer.step
    return partial(step.__wrapped__, optimizer)  # type: ignore[attr-defined]


def has_compiler(device: torch.device) -> bool:
    """Whether `torch.compile` finds what it compiles with for a device: Triton for a GPU, else a C++ compiler.

    Without this question the first compiled step fails, in the middle of a run, with pages of inductor's own messages.
    """
    # These imports take a second, and few runs compile.
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler
    from torch.utils._triton import has_triton

    if device.type == "cuda" and not has_triton():
        return False
    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        return False
    return True
