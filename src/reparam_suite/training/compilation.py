"""What torch.compile is given for training steps, where it can compile at all."""

import torch


def compile_options(device: torch.device) -> dict[str, dict[str, bool]]:
    """Inductor with the random numbers of the uncompiled step, and CUDA graphs on a GPU.

    Raises:
        ValueError: if there is nothing to compile with.
    """
    # They take a second to import, and few runs want them.
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler
    from torch.utils._triton import has_triton

    if device.type == "cuda" and not has_triton():
        raise ValueError("expected Triton, which compiles for the GPU, got none")
    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        raise ValueError("expected a C++ compiler, g++ or what CXX names, got none") from None
    return {"options": {"fallback_random": True, "triton.cudagraphs": device.type == "cuda"}}
