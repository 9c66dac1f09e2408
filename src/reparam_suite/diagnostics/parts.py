"""Gradients of single data, layer by layer: their inner products and variances, mostly without ever forming them.

B data, R repeats of each, S rows that a layer sees of one datum and repeat (samples, positions, calls).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from reparam_suite.diagnostics.statistics import spread

ROUNDING = 2e-5
"""The largest rounding of a sum of products in float32, as a share of its Cauchy-Schwarz bound."""

GRAM_ELEMENTS = 2**18
"""Inner products of rows that are held at a time: they and what comes of them stay in the cache."""


class Part(ABC):
    """R gradients of each of B data by a few parameters."""

    parameters: tuple[Tensor, ...]

    @abstractmethod
    def gram(self) -> Tensor:
        """Inner products of the R gradients of each datum, `[B, R, R]`."""

    @abstractmethod
    def element_variances(self) -> tuple[Tensor, ...]:
        """The variance of every element over repeats, summed over data; one tensor a parameter."""

    @abstractmethod
    def missed(self, gradients: Sequence[Tensor]) -> Tensor:
        """How far `gradients`, as autograd gives them, are from what these add up to over data and repeats, `[]`.

        As a share of the Cauchy-Schwarz bound on that sum. Rounding stays below `ROUNDING`; a path to a parameter
        around its layer misses far more.
        """


@final
class Explicit(Part):
    """Gradients that are at hand, `[B, R, ...]` for each parameter."""

    def __init__(self, gradients: dict[Tensor, Tensor]) -> None:
        self.parameters = tuple(gradients)
        self.gradients = list(gradients.values())

    def gram(self) -> Tensor:
        """One product per datum."""
        flat = torch.cat([gradient.reshape(*gradient.shape[:2], -1) for gradient in self.gradients], -1)
        return flat @ flat.mT

    def element_variances(self) -> tuple[Tensor, ...]:
        """As it says."""
        return tuple(spread(gradient, 1).sum(0) for gradient in self.gradients)

    def missed(self, gradients: Sequence[Tensor]) -> Tensor:
        """Compared element by element."""
        shares = []
        for ours, theirs in zip(self.gradients, gradients, strict=True):
            bound = torch.linalg.vector_norm(ours) * math.prod(ours.shape[:2]) ** 0.5
            shares.append(_share((ours.sum((0, 1)) - theirs).abs().amax(), bound))
        return torch.stack(shares).amax()


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

    def __init__(self, weight: Tensor, bias: Tensor | None, activations: Tensor, deltas: Tensor) -> None:
        self.weight = weight if weight.requires_grad else None
        self.bias = bias if bias is not None and bias.requires_grad else None
        self.parameters = tuple(parameter for parameter in (self.weight, self.bias) if parameter is not None)
        self.activations = activations
        self.deltas = deltas

    def gram(self) -> Tensor:
        """From products of rows or, where a datum has so many that it is cheaper, from the gradients themselves."""
        B, S, R, num_outputs = self.deltas.shape
        num_inputs = self.activations.shape[-1]
        products = (S * R) ** 2
        if products > GRAM_ELEMENTS or products * (num_inputs + num_outputs) > (S + R) * R * num_inputs * num_outputs:
            return self._gram_of_gradients()
        data = max(1, GRAM_ELEMENTS // products)
        return torch.cat([self._gram_of_rows(slice(b, b + data)) for b in range(0, B, data)])

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

    def missed(self, gradients: Sequence[Tensor]) -> Tensor:
        """Compared in a random direction of the inputs, the bias as one more."""
        left = list(gradients)
        # Rows in the order in which they are stored in memory.
        deltas = self.deltas.permute(1, 2, 0, 3)
        seen, theirs = deltas.new_zeros(()), deltas.new_zeros(())
        if self.weight is not None:
            probe = torch.randn_like(self.activations[0, 0, 0])
            seen = self.activations.permute(1, 2, 0, 3) @ probe
            theirs = left.pop(0).flatten(1) @ probe
        if self.bias is not None:
            seen, theirs = seen + 1.0, theirs + left.pop(0)
        deltas, seen = deltas.flatten(0, 2), seen.expand(deltas.shape[:-1]).flatten()
        bound = torch.linalg.vector_norm(deltas) * torch.linalg.vector_norm(seen)
        return _share(torch.linalg.vector_norm(deltas.T @ seen - theirs), bound)

    def _gram_of_rows(self, data: slice) -> Tensor:
        deltas, activations = self.deltas[data], self.activations[data]
        (B, S, R, _), repeats = deltas.shape, activations.shape[2]
        flat = deltas.flatten(1, 2)
        outer = (flat @ flat.mT).view(B, S, R, S, R)
        inner = torch.full_like(outer[:, :, :1, :, :1], float(self.bias is not None))
        if self.weight is not None:
            flat = activations.flatten(1, 2)
            inner = inner + (flat @ flat.mT).view(B, S, repeats, S, repeats)
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


def _share(missed: Tensor, bound: Tensor) -> Tensor:
    # 0 where both are 0: a gradient that vanishes is explained.
    return missed / bound.clamp_min(torch.finfo(bound.dtype).tiny)
