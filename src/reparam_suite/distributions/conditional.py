"""A module y -> p(.|y): a network, then a family."""

from typing import Protocol, runtime_checkable

from torch import Tensor, nn
from torch.distributions import Distribution

from reparam_suite.distributions.numbers import widened
from reparam_suite.runtime import checks
from reparam_suite.runtime.errors import ArgumentTypeError


@runtime_checkable
class Family(Protocol):
    """Maps a network's output to a distribution; serves as posterior, prior, likelihood and layer alike."""

    @property
    def num_parameters(self) -> int:
        """Numbers per datum that the network gives."""

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one value of the distribution."""

    def distribution(self, raw: Tensor, /) -> Distribution:
        """The distribution, batch_shape `[*B]`, from the network's output `[*B, num_parameters]`."""


class Conditional(nn.Module):
    """p(.|y), the distribution of a family whose parameters a network computes from y.

    The network sees one batch axis: the axes of y that stand before those of one datum are flattened, and restored in
    the distribution's batch_shape.

    Args:
        network: `[B, *datum]` to `num_parameters` numbers per datum, in any shape.
        family: of the distribution.
        input_axes: axes of one datum of y: 1 for vectors, 2 for one-hot latents `[D, C]`, 3 for images.

    Raises:
        ValueError: if `input_axes` is below 1; in `forward`, if the network gives another number of parameters.
        TypeError: if `input_axes` is no integer; in `forward`, if the network returns no tensor.
    """

    def __init__(self, network: nn.Module, family: Family, *, input_axes: int = 1) -> None:
        super().__init__()
        self.network = network
        self.family = family
        self.input_axes = checks.integer("input_axes", input_axes, least=1)

    def forward(self, y: Tensor) -> Distribution:
        """p(.|y), batch_shape `[*B]`, for y of `[*B, *datum]`."""
        axes = y.dim() - self.input_axes
        if axes < 0:
            raise ValueError(f"y: expected at least {self.input_axes} axes, got shape {tuple(y.shape)}")
        lead = y.shape[:axes]
        returned = self.network(y if axes == 1 else y.reshape(-1, *y.shape[axes:]))
        if not isinstance(returned, Tensor):
            raise ArgumentTypeError(f"network: expected to return a tensor, got {type(returned).__name__}")
        raw = widened(returned)
        if axes == 1 and raw.dim() == 2:
            return self._distribution(raw)
        return self._distribution(raw.reshape(*lead, -1) if raw.numel() else raw)

    def _distribution(self, raw: Tensor) -> Distribution:
        if raw.shape[-1] != self.family.num_parameters:
            raise ValueError(
                f"network: expected {self.family.num_parameters} numbers per datum for {_shown(self.family)}, "
                f"got {raw.shape[-1]}"
            )
        return self.family.distribution(raw)


def _shown(family: Family) -> str:
    return f"{type(family).__name__} of event_shape {tuple(family.event_shape)}"
