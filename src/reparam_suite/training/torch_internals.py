"""Private names of PyTorch that training relies on, each with the reason why no public one will do.

`tests/training/test_torch_internals.py` fails when one of them is gone or means something else.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule
from torch.fx.graph import CodeGen
from torch.optim import Optimizer
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

__all__ = ["as_while_compiling", "bare_step", "compiled", "has_compiler", "traced"]


def bare_step(optimizer: Optimizer) -> Callable[[], object]:
    """The optimizer's step without the profiler's record around it, a twentieth of a small model's whole step.

    PyTorch opens that record unconditionally. A step that was put in the place of the optimizer's own, or hooks on it,
    are respected: then it is `optimizer.step`. What a scheduler puts there only notes that it was called.
    """
    hooks = (
        *optimizer._optimizer_step_pre_hooks,
        *optimizer._optimizer_step_post_hooks,
        *_global_optimizer_pre_hooks,
        *_global_optimizer_post_hooks,
    )
    step = type(optimizer).step
    own = vars(optimizer).get("step")
    of_a_scheduler = getattr(own, "_wrapped_by_lr_sched", False)
    if hooks or (own is not None and not of_a_scheduler) or not getattr(step, "hooked", False):
        return optimizer.step
    if of_a_scheduler:
        optimizer._opt_called = True  # type: ignore[attr-defined]
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


def traced(function: Callable[..., list[Tensor]], inputs: Sequence[Tensor]) -> GraphModule:
    """The operations of a function of tensors, autograd's among them, as one graph of the same arguments.

    `torch.compile` traces no call of autograd, and `torch.export` no optimizer. A value that Python asks of a tensor,
    or a tensor that is none of the inputs, is an error here and no break of the graph.
    """
    from torch.fx.experimental.proxy_tensor import make_fx

    with torch.enable_grad():
        graph: GraphModule = make_fx(function, tracing_mode="fake")(*inputs)
    graph.graph.set_codegen(CodeGen())
    graph.recompile()
    return graph


def compiled(graph: GraphModule, inputs: Sequence[Tensor], options: dict[str, Any]) -> Callable[..., Any]:
    """The graph as machine code, from inductor's cache on disk if it was compiled before.

    `torch.compile` of the same graph checks each of its inputs at each call, a fifth of a small model's step.
    """
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about parts of PyTorch that it uses itself
        from torch._inductor import standalone_compile

        return standalone_compile(
            graph, list(inputs), dynamic_shapes="from_example_inputs", options={"config_patches": options}
        )


@contextmanager
def as_while_compiling() -> Iterator[None]:
    """Optimizers of torch.optim take steps of tensors alone within this context, as `torch.compile` has them do."""
    before = torch.compiler._is_compiling_flag
    torch.compiler._is_compiling_flag = True
    try:
        yield
    finally:
        torch.compiler._is_compiling_flag = before
