"""Gradients of single data, layer by layer: their inner products and variances, mostly without ever forming them.

B data, R repeats of each, S rows that a layer sees of one datum and repeat (samples, positions, calls).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reparam_suite.diagnostics.calls import Call, NotLayerwiseError, rows
from reparam_suite.diagnostics.statistics import spread

# Rounding in a sum of products, as a share of the Cauchy-Schwarz bound on it; a path around a layer misses far more.
_TOLERANCE = 2e-5


class Part(ABC):
    """R gradients of each of B data by a few parameters."""

    parameters: tuple[nn.Parameter, ...]

    @abstractmethod
    def gram(self) -> Tensor:
        """Inner products of the R gradients of each datum, `[B, R, R]`."""

    @abstractmethod
    def element_variances(self) -> tuple[Tensor, ...]:
        """The variance of every element over repeats, summed over data; one tensor a parameter."""

    @abstractmethod
    def explains(self, gradients: Sequence[Tensor]) -> Tensor:
        """Whether `gradients`, the sums over data and repeats, are what these gradients add up to, `[]`."""


@final
class Explicit(Part):
    """Gradients that are at hand, `[B, R, ...]` for each parameter."""

    def __init__(self, gradients: dict[nn.Parameter, Tensor]) -> None:
        self.parameters = tuple(gradients)
        self.gradients = list(gradients.values())

    def gram(self) -> Tensor:
        """One product a datum."""
        flat = torch.cat([each.reshape(*each.shape[:2], -1) for each in self.gradients], -1)
        return flat @ flat.mT

    def element_variances(self) -> tuple[Tensor, ...]:
        """As it says."""
        return tuple(spread(each, 1).sum(0) for each in self.gradients)

    def explains(self, gradients: Sequence[Tensor]) -> Tensor:
        """Compared element by element."""
        checks = []
        for ours, theirs in zip(self.gradients, gradients, strict=True):
            bound = torch.linalg.vector_norm(ours) * math.prod(ours.shape[:2]) ** 0.5
            checks.append((ours.sum((0, 1)) - theirs).abs().amax() <= _TOLERANCE * bound)
        return torch.stack(checks).all()


@final
class Affine(Part):
    """A layer x -> W x + b: the gradient is the sum over rows of outer products of what comes back and what went in.

    g_br = sum_s delta_brs (x) a_brs,    <g_br, g_bq> = sum_st <a_brs, a_bqt> <delta_brs, delta_bqt>

    Args:
        weight: W, of `[O, I]` numbers in any shape.
        bias: b, `[O]`.
        activations: a, `[B, S, R, I]`; R is 1 where all repeats see the same.
        deltas: the gradient of the objective by the layer's output, `[B, S, R, O]`.
    """

    def __init__(self, weight: nn.Parameter, bias: nn.Parameter | None, activations: Tensor, deltas: Tensor) -> None:
        self.weight = weight if weight.requires_grad else None
        self.bias = bias if bias is not None and bias.requires_grad else None
        self.parameters = tuple(each for each in (self.weight, self.bias) if each is not None)
        self.activations = activations
        self.deltas = deltas

    def gram(self) -> Tensor:
        """From products of rows or, where a datum has so many rows that it is cheaper, from the gradients themselves."""
        _, S, R, num_outputs = self.deltas.shape
        num_inputs = self.activations.shape[-1]
        by_rows = (S * R) ** 2 * (num_inputs + num_outputs)
        by_gradient = (S + R) * R * num_inputs * num_outputs
        return self._gram_of_rows() if by_rows <= by_gradient else self._gram_of_gradients()

    def element_variances(self) -> tuple[Tensor, ...]:
        """Sums over r of g_r^2 minus R times the squared mean, over R - 1."""
        variances = []
        if self.weight is not None:
            variances.append(self._weight_variances().reshape(self.weight.shape))
        if self.bias is not None:
            of_datum = self.deltas.sum(1)
            squares, squared_sums = of_datum.square().sum((0, 1)), of_datum.sum(1).square_().sum(0)
            variances.append((squares - squared_sums / of_datum.shape[1]) / (of_datum.shape[1] - 1))
        return tuple(variances)

    def explains(self, gradients: Sequence[Tensor]) -> Tensor:
        """Compared in a random direction of the inputs: a path to W around the layer would show."""
        left = list(gradients)
        # Rows in the order in which they lie in memory.
        deltas = self.deltas.permute(1, 2, 0, 3)
        size = torch.linalg.vector_norm(deltas)
        flat = deltas.flatten(0, 2)
        checks = []
        if self.weight is not None:
            probe = torch.randn_like(self.activations[0, 0, 0])
            seen = (self.activations.permute(1, 2, 0, 3) @ probe).expand(deltas.shape[:-1]).flatten()
            missed = (flat.T @ seen - left.pop(0).flatten(1) @ probe).abs().amax()
            checks.append(missed <= _TOLERANCE * size * torch.linalg.vector_norm(seen))
        if self.bias is not None:
            missed = (flat.sum(0) - left.pop(0)).abs().amax()
            checks.append(missed <= _TOLERANCE * size * len(flat) ** 0.5)
        return torch.stack(checks).all()

    def _gram_of_rows(self) -> Tensor:
        B, S, R, _ = self.deltas.shape
        deltas = self.deltas.flatten(1, 2)
        outer = (deltas @ deltas.mT).view(B, S, R, S, R)
        inner = torch.full_like(outer[:, :, :1, :, :1], float(self.bias is not None))
        if self.weight is not None:
            activations = self.activations.flatten(1, 2)
            repeats = self.activations.shape[2]
            inner = inner + (activations @ activations.mT).view(B, S, repeats, S, repeats)
        return (inner * outer).sum((1, 3))

    def _gram_of_gradients(self) -> Tensor:
        B, _, R, _ = self.deltas.shape
        gram = self.deltas.new_zeros(B, R, R)
        if self.bias is not None:
            by_bias = self.deltas.sum(1)
            gram += by_bias @ by_bias.mT
        if self.weight is not None:
            for b in range(B):
                flat = self._gradients_of(b).flatten(1)
                gram[b] += flat @ flat.T
        return gram

    def _gradients_of(self, b: int) -> Tensor:
        # The R gradients of one datum by W, [R, O, I].
        activations = self.activations[b].transpose(0, 1).expand(self.deltas.shape[2], -1, -1)
        return self.deltas[b].permute(1, 2, 0) @ activations

    def _weight_variances(self) -> Tensor:
        B, S, R, num_outputs = self.deltas.shape
        num_inputs = self.activations.shape[-1]
        if self.activations.shape[2] == 1 and S == 1:
            # What went in is the same each time: only what comes back varies.
            return spread(self.deltas[:, 0], 1).T @ self.activations[:, 0, 0].square()
        total = self.deltas.new_zeros(num_outputs, num_inputs)
        if S * (S + 1) // 2 <= _MOST_PAIRS:
            total = self._sum_of_squares_of_rows()
            activations = self.activations.expand(-1, -1, R, -1).flatten(1, 2).contiguous()
            deltas = self.deltas.flatten(1, 2).contiguous().mT
            summed = torch.empty_like(total)
            for delta, activation in zip(deltas.unbind(), activations.unbind(), strict=True):
                torch.mm(delta, activation, out=summed)
                total.addcmul_(summed, summed, value=-1.0 / R)
        else:
            for b in range(B):
                total += spread(self._gradients_of(b), 0) * (R - 1)
        return total / (R - 1)

    def _sum_of_squares_of_rows(self) -> Tensor:
        # sum_br (sum_s delta_s (x) a_s)^2 = sum_br sum_st (delta_s delta_t) (x) (a_s a_t), one matrix product a pair.
        _, S, R, num_outputs = self.deltas.shape
        activations = self.activations.expand(-1, -1, R, -1)
        total = self.deltas.new_zeros(num_outputs, activations.shape[-1])
        for s in range(S):
            for t in range(s, S):
                outer = (self.deltas[:, s] * self.deltas[:, t]).flatten(0, 1)
                inner = (activations[:, s] * activations[:, t]).flatten(0, 1)
                total.addmm_(outer.T, inner, alpha=1.0 if s == t else 2.0)
        return total


# Up to so many pairs of rows, products of rows are cheaper than a gradient for every repeat: measured on a 200 x 784
# layer, where a pair costs 2 ms for 800 gradients and those gradients 32 ms.
_MOST_PAIRS = 15


def parts_of(calls: Sequence[Call], deltas: Sequence[Tensor]) -> list[Part]:
    """What the calls say about their modules' parameters.

    Args:
        calls: in the encoder, laid out `(B,)`, or in the decoder, laid out `(K, R, B)`.
        deltas: the gradient of the objective by each output; `[R, *output]` in the encoder.
    """
    by_module: dict[nn.Module, list[tuple[Call, Tensor]]] = {}
    for call, delta in zip(calls, deltas, strict=True):
        by_module.setdefault(call.module, []).append((call, delta))
    return [_part_of(module, mine) for module, mine in by_module.items()]


def _part_of(module: nn.Module, calls: list[tuple[Call, Tensor]]) -> Part:
    as_rows = _linear_rows if _is_linear(module) else _convolution_rows if _is_convolution(module) else None
    if as_rows is None:
        return Explicit(_explicit_gradients(module, calls))
    activations, deltas = zip(*(as_rows(call, delta) for call, delta in calls), strict=True)
    assert isinstance(module, nn.Linear | nn.Conv2d)
    return Affine(module.weight, module.bias, _joined(activations), _joined(deltas))


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(list(tensors), 1)


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) and type(module).forward is nn.Linear.forward


def _is_convolution(module: nn.Module) -> bool:
    return (
        isinstance(module, nn.Conv2d)
        and type(module).forward is nn.Conv2d.forward
        and module.groups == 1
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
    )


def _linear_rows(call: Call, delta: Tensor) -> tuple[Tensor, Tensor]:
    return _activation_rows(call.inputs[0], call.lead), _delta_rows(delta, call.lead)


def _convolution_rows(call: Call, delta: Tensor) -> tuple[Tensor, Tensor]:
    module = call.module
    assert isinstance(module, nn.Conv2d)
    assert not isinstance(module.padding, str)
    images = call.inputs[0]
    if images.dim() != 4:
        raise NotLayerwiseError(f"a convolution of one image without a batch axis, {list(images.shape)}")
    patches = F.unfold(images, module.kernel_size, module.dilation, module.padding, module.stride)
    delta = delta.flatten(-2).transpose(-1, -2)  # positions are rows
    return _activation_rows(patches.transpose(-1, -2), call.lead), _delta_rows(delta, call.lead)


def _activation_rows(inputs: Tensor, lead: tuple[int, ...]) -> Tensor:
    # [*lead, ..., I] -> [B, S, R, I], R = 1 in the encoder.
    laid_out = rows(inputs, lead)
    if len(lead) == 1:
        return laid_out.reshape(lead[0], -1, 1, laid_out.shape[-1])
    return _decoder_rows(laid_out)


def _delta_rows(delta: Tensor, lead: tuple[int, ...]) -> Tensor:
    # Encoder: [R, B, ..., O] -> [B, S, R, O]. Decoder: [K, R, B, ..., O] -> [B, S, R, O].
    if len(lead) == 1:
        R = delta.shape[0]
        laid_out = rows(delta, (R, *lead))
        return laid_out.reshape(R, lead[0], -1, laid_out.shape[-1]).permute(1, 2, 0, 3)
    return _decoder_rows(rows(delta, lead))


def _decoder_rows(laid_out: Tensor) -> Tensor:
    K, R, B = laid_out.shape[:3]
    flat = laid_out.reshape(K, R, B, math.prod(laid_out.shape[3:-1]), laid_out.shape[-1])
    return flat.permute(2, 0, 3, 1, 4).flatten(1, 2)


def _explicit_gradients(module: nn.Module, calls: list[tuple[Call, Tensor]]) -> dict[nn.Parameter, Tensor]:
    # Row by row through the module alone, by torch.func: any module whose rows do not see one another.
    own = {name: each for name, each in module.named_parameters(recurse=False) if each.requires_grad}
    frozen = {name: each.detach() for name, each in own.items()}
    totals: dict[str, Tensor] = {}

    for call, delta in calls:
        lead = call.lead
        in_decoder = len(lead) == 3
        inputs = tuple(_one_row_each(each, lead) for each in call.inputs)
        delta = rows(delta, lead if in_decoder else (delta.shape[0], *lead))
        ones = (1,) * (call.output.dim() - delta.dim() + (3 if in_decoder else 2))

        def gradient(of_row: tuple[Tensor, ...], back: Tensor, ones: tuple[int, ...] = ones) -> dict[str, Tensor]:
            def apply(values: dict[str, Tensor]) -> Tensor:
                output: Tensor = torch.func.functional_call(module, values, of_row)
                return output

            _, pull_back = torch.func.vjp(apply, frozen)
            (pulled,) = pull_back(back.reshape(*ones, *back.shape))
            return pulled

        over_data = torch.func.vmap(gradient)
        if in_decoder:
            K, R, B = lead
            flat = over_data(
                tuple(each.flatten(0, 2) for each in inputs), delta.flatten(0, 2)
            )
            drawn = {name: each.unflatten(0, (K, R, B)).sum(0).transpose(0, 1) for name, each in flat.items()}
        else:
            drawn = torch.func.vmap(over_data, in_dims=(None, 0), out_dims=1)(inputs, delta)
        for name, each in drawn.items():
            totals[name] = totals[name] + each if name in totals else each
    return {own[name]: each for name, each in totals.items()}


def _one_row_each(tensor: Tensor, lead: tuple[int, ...]) -> Tensor:
    # [*lead, 1.., ...]: the axes that were rows are kept, of length 1, for the module to see as many axes as before.
    for fewer in range(len(lead)):
        try:
            laid_out = rows(tensor, lead[fewer:])
        except NotLayerwiseError:
            continue
        kept = tensor.dim() - (laid_out.dim() - len(lead) + fewer)
        return laid_out.reshape(*lead[fewer:], *(1,) * kept, *laid_out.shape[len(lead) - fewer :]).expand(
            *lead, *(1,) * kept, *laid_out.shape[len(lead) - fewer :]
        )
    raise NotLayerwiseError(f"an argument of shape {list(tensor.shape)} has no rows laid out as {list(lead)}")
