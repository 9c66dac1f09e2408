"""Gradients with respect to the parameters of any module whose rows do not see one another, row by row."""

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
    inputs = tuple(_one_row_each(tensor, lead) for tensor in call.inputs)
    leading = [_num_leading(output, lead) for output in call.outputs]

    def outputs(values: dict[str, Tensor], of_row: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        tensors = tensors_of(call.module, torch.func.functional_call(call.module, values, of_row))
        return tuple(tensors[index] for index in call.places)

    def pull_back(of_row: tuple[Tensor, ...], back: tuple[Tensor, ...]) -> dict[str, Tensor]:
        pull = torch.func.vjp(
            lambda values: outputs(values, of_row), {name: parameter.detach() for name, parameter in own.items()}
        )[1]
        cotangents = tuple(
            gradient.reshape((1,) * axes + gradient.shape) for gradient, axes in zip(back, leading, strict=True)
        )
        return cast("dict[str, Tensor]", pull(cotangents)[0])

    over_rows: Any = torch.func.vmap(pull_back)
    if len(lead) == 1:
        over_repeats = torch.func.vmap(over_rows, in_dims=(None, 0), out_dims=1)
        back = tuple(rows(cotangent, (len(cotangent), *lead)) for cotangent in deltas)
        return cast("dict[str, Tensor]", over_repeats(inputs, back))
    back = tuple(rows(cotangent, lead).flatten(0, 2) for cotangent in deltas)
    flat = over_rows(tuple(tensor.flatten(0, 2) for tensor in inputs), back)
    return {name: gradient.unflatten(0, lead).sum(0).transpose(0, 1) for name, gradient in flat.items()}


def _one_row_each(tensor: Tensor, lead: tuple[int, ...]) -> Tensor:
    # [*lead, 1, .., ...]: the axes that held the rows stay, of length 1, so that the module sees as many as before. An
    # argument without the axis of samples, such as x, is the same for each of them.
    for shared in range(max(1, len(lead) - 1)):
        try:
            laid_out = rows(tensor, lead[shared:])
        except NotLayerwiseError:
            continue
        of_row = laid_out.shape[len(lead) - shared :]
        ones = (1,) * (tensor.dim() - len(of_row))
        return laid_out.reshape(*lead[shared:], *ones, *of_row).expand(*lead, *ones, *of_row)
    raise NotLayerwiseError(f"an argument of shape {list(tensor.shape)} has no rows laid out as {list(lead)}")


def _num_leading(output: Tensor, lead: tuple[int, ...]) -> int:
    # How many axes of the output hold its rows.
    return output.dim() - (rows(output, lead).dim() - len(lead))
