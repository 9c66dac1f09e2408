"""Gradients with respect to the parameters of any module whose rows do not see one another, datum by datum."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from reparam_suite.diagnostics.calls import Call, NotLayerwiseError, rows, tensors_of


def gradients_of_module(module: nn.Module, calls: Sequence[tuple[Call, tuple[Tensor, ...]]]) -> dict[Tensor, Tensor]:
    """R gradients of each of B data with respect to the module's own parameters, `[B, R, ...]` each, over its calls.

    Args:
        module: anything that torch.func can differentiate and that draws no noise: a likelihood with a scale, a
            normalisation, a convolution of another kind.
        calls: each with the gradient of the objective with respect to its outputs, as in `parts_of`.

    Raises:
        NotLayerwiseError: if the module cannot be run row by row.
    """
    own = {name: parameter for name, parameter in module.named_parameters(recurse=False) if parameter.requires_grad}
    try:
        drawn = [_gradients_of_call(own, call, deltas) for call, deltas in calls]
    except RuntimeError as reason:
        raise NotLayerwiseError(f"{type(module).__name__} cannot be run row by row: {reason}") from reason
    return {own[name]: torch.stack([of_call[name] for of_call in drawn]).sum(0) for name in own}


def _gradients_of_call(own: dict[str, nn.Parameter], call: Call, deltas: tuple[Tensor, ...]) -> dict[str, Tensor]:
    lead = call.lead
    inputs = tuple(_rows_of_each(tensor, lead) for tensor in call.inputs)
    leading = [_num_leading(output, lead) for output in call.outputs]

    def outputs(values: dict[str, Tensor], of_row: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        tensors = tensors_of(call.module, torch.func.functional_call(call.module, values, of_row))
        return tuple(tensors[index] for index in call.places)

    def pull_back(of_row: tuple[Tensor, ...], back: tuple[Tensor, ...]) -> dict[str, Tensor]:
        pull = torch.func.vjp(
            lambda values: outputs(values, of_row), {name: parameter.detach() for name, parameter in own.items()}
        )[1]
        return cast("dict[str, Tensor]", pull(back)[0])

    over_data: Any = torch.func.vmap(pull_back)
    if len(lead) == 1:
        over_repeats = torch.func.vmap(over_data, in_dims=(None, 0), out_dims=1)
        back = tuple(
            _with_ones(rows(cotangent, (len(cotangent), *lead)), 2, axes)
            for cotangent, axes in zip(deltas, leading, strict=True)
        )
        return cast("dict[str, Tensor]", over_repeats(inputs, back))
    back = tuple(
        _with_ones(_data_first(rows(cotangent, lead)), 2, axes - 1)
        for cotangent, axes in zip(deltas, leading, strict=True)
    )
    flat = over_data(inputs, back)
    return {name: gradient.unflatten(0, lead[1:]).transpose(0, 1) for name, gradient in flat.items()}


def _rows_of_each(tensor: Tensor, lead: tuple[int, ...]) -> Tensor:
    # [B, 1, .., ...] or, of K samples, [R B, K, 1, .., ...]: the axes that held the rows stay, so that the module sees
    # as many as before. An argument without the axis of samples, x say, has one row for all of them.
    try:
        laid_out = rows(tensor, lead)
    except NotLayerwiseError:
        if len(lead) == 1:
            raise
        laid_out = rows(tensor, lead[1:]).flatten(0, 1)
        return _with_ones(laid_out, 1, tensor.dim() - laid_out.dim() + 1)
    num_leading = tensor.dim() - (laid_out.dim() - len(lead))
    return (
        _with_ones(laid_out, 1, num_leading)
        if len(lead) == 1
        else _with_ones(_data_first(laid_out), 2, num_leading - 1)
    )


def _data_first(laid_out: Tensor) -> Tensor:
    # [K, R, B, ...] -> [R B, K, ...]
    return laid_out.flatten(1, 2).transpose(0, 1)


def _with_ones(tensor: Tensor, place: int, count: int) -> Tensor:
    return tensor.reshape(*tensor.shape[:place], *(1,) * count, *tensor.shape[place:])


def _num_leading(output: Tensor, lead: tuple[int, ...]) -> int:
    # How many axes of the output hold its rows.
    return output.dim() - (rows(output, lead).dim() - len(lead))
