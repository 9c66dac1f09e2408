"""From the calls of layers to the parts of a gradient: which row belongs to which datum, repeat and sample."""

import math
from collections.abc import Callable, Sequence
from typing import TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reparam_suite.diagnostics.calls import Call, NotLayerwiseError, rows
from reparam_suite.diagnostics.modulewise import gradients_of_module
from reparam_suite.diagnostics.parts import Affine, Explicit, Part

Deltas = tuple[Tensor, ...]
"""The gradient of the objective with respect to each output of a call."""

AsRows = Callable[[Call, Tensor], tuple[Tensor, Tensor]]
"""A call and what comes back to it -> activations `[B, S, R, I]` and deltas `[B, S, R, O]`."""


def parts_of(calls: Sequence[Call], deltas: Sequence[Deltas]) -> list[Part]:
    """The gradient with respect to the parameters of the modules that were called, a part for each module.

    Args:
        calls: laid out `(K, R, B)`, or `(B,)` in an encoder that ran once for all repeats.
        deltas: the gradient of the objective with respect to the outputs; `[R, *output]` of a call laid out `(B,)`.
    """
    by_module: dict[nn.Module, list[tuple[Call, Deltas]]] = {}
    for call, delta in zip(calls, deltas, strict=True):
        by_module.setdefault(call.module, []).append((call, delta))
    return [part for module, mine in by_module.items() for part in _parts_of_module(module, mine)]


def is_affine(module: nn.Module) -> bool:
    """Whether gradients of single data are computed from the rows of the module, without ever being formed."""
    return _is_linear(module) or _is_convolution(module) or _is_transposed(module)


def _parts_of_module(module: nn.Module, calls: list[tuple[Call, Deltas]]) -> list[Part]:
    if _is_linear(module):
        return [_affine(module, calls, _linear_rows)]
    if _is_convolution(module):
        return [_affine(module, calls, _convolution_rows)]
    if _is_transposed(module):
        return _transposed(module, calls)
    return [Explicit(gradients_of_module(module, calls))]


def _affine(module: nn.Linear | nn.Conv2d, calls: list[tuple[Call, Deltas]], as_rows: AsRows) -> Affine:
    activations, deltas = zip(*(as_rows(call, delta) for call, (delta,) in calls), strict=True)
    return Affine(module.weight, module.bias, _joined(activations), _joined(deltas))


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(list(tensors), 1)


def _is_linear(module: nn.Module) -> TypeGuard[nn.Linear]:
    return isinstance(module, nn.Linear) and type(module).forward is nn.Linear.forward


def _is_convolution(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    return (
        isinstance(module, nn.Conv2d)
        and type(module).forward is nn.Conv2d.forward
        and module.groups == 1
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
    )


def _is_transposed(module: nn.Module) -> TypeGuard[nn.ConvTranspose2d]:
    return (
        isinstance(module, nn.ConvTranspose2d)
        and type(module).forward is nn.ConvTranspose2d.forward
        and module.groups == 1
        and all(rest < stride for rest, stride in zip(module.output_padding, module.stride, strict=True))
    )


def _transposed(module: nn.ConvTranspose2d, calls: list[tuple[Call, Deltas]]) -> list[Part]:
    # The gradient by the weight, [I, O, ..], is that of a convolution from what comes back to what went in: every
    # position of the input is a row, and the two change places. Rows of the bias are the positions of the output.
    parts: list[Part] = []
    if module.weight.requires_grad:
        patches, images = zip(*(_transposed_rows(module, call, delta) for call, (delta,) in calls), strict=True)
        parts.append(Affine(module.weight, None, _joined(patches), _joined(images)))
    if module.bias is not None and module.bias.requires_grad:
        back = _joined([_delta_rows(delta.flatten(-2).transpose(-1, -2), call.lead) for call, (delta,) in calls])
        parts.append(Affine(module.weight.detach(), module.bias, back[..., :1], back))
    return parts


def _transposed_rows(module: nn.ConvTranspose2d, call: Call, delta: Tensor) -> tuple[Tensor, Tensor]:
    (images,) = call.inputs
    if images.dim() != 4:
        raise NotLayerwiseError(f"a convolution of an image without a batch axis, {list(images.shape)}")
    assert not isinstance(module.padding, str)
    unfolded = F.unfold(delta.flatten(0, -4), module.kernel_size, module.dilation, module.padding, module.stride)
    positions = unfolded.transpose(-1, -2)
    patches = _delta_rows(positions.unflatten(0, delta.shape[:-3]), call.lead)
    seen = _activation_rows(images.flatten(-2).transpose(-1, -2), call.lead)
    return patches, seen.expand(-1, -1, patches.shape[2], -1)


def _linear_rows(call: Call, delta: Tensor) -> tuple[Tensor, Tensor]:
    return _activation_rows(call.inputs[0], call.lead), _delta_rows(delta, call.lead)


def _convolution_rows(call: Call, delta: Tensor) -> tuple[Tensor, Tensor]:
    # Every position is a row, and its patch what went in.
    module, (images,) = call.module, call.inputs
    assert isinstance(module, nn.Conv2d)
    assert not isinstance(module.padding, str)
    if images.dim() != 4:
        raise NotLayerwiseError(f"a convolution of an image without a batch axis, {list(images.shape)}")
    patches = F.unfold(images, module.kernel_size, module.dilation, module.padding, module.stride)
    positions = delta.flatten(-2).transpose(-1, -2)
    return _activation_rows(patches.transpose(-1, -2), call.lead), _delta_rows(positions, call.lead)


def _activation_rows(inputs: Tensor, lead: tuple[int, ...]) -> Tensor:
    # [*lead, ..., I] -> [B, S, R, I]; R is 1 in the encoder, where all repeats see the same.
    laid_out = rows(inputs, lead)
    if len(lead) == 1:
        return laid_out.reshape(lead[0], -1, 1, laid_out.shape[-1])
    return _decoder_rows(laid_out)


def _delta_rows(delta: Tensor, lead: tuple[int, ...]) -> Tensor:
    # Encoder: [R, B, ..., O] -> [B, S, R, O]. Decoder: [K, R, B, ..., O] -> [B, S, R, O].
    if len(lead) == 1:
        R, (B,) = len(delta), lead
        laid_out = rows(delta, (R, B))
        return laid_out.reshape(R, B, -1, laid_out.shape[-1]).permute(1, 2, 0, 3)
    return _decoder_rows(rows(delta, lead))


def _decoder_rows(laid_out: Tensor) -> Tensor:
    # A view where a layer sees one row per sample: nothing is copied.
    K, R, B = laid_out.shape[:3]
    flat = laid_out.reshape(K, R, B, math.prod(laid_out.shape[3:-1]), laid_out.shape[-1])
    return flat.permute(2, 0, 3, 1, 4).flatten(1, 2)
