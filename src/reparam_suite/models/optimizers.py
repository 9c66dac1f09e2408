"""Optimizers by part: what the model, the prior and the estimator's own parameters are stepped by."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import nn
from torch.optim import Optimizer


@dataclass(frozen=True, kw_only=True)  # not @final: jsonargparse takes no instance of a final class as a default
class OptimizerSettings:
    """An optimizer of torch.optim and what it is given.

    Args:
        name: the class: Adam, RAdam, SGD, ...
        learning_rate: its step size; without one, that of the model.
        options: further arguments of the class, such as {betas: [0.9, 0.999]}.

    Raises:
        ValueError: if torch.optim has no such class or the class no such option.
    """

    name: str = "Adam"
    learning_rate: float | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = _optimizers()
        if self.name not in known:
            raise ValueError(f"optimizer name must be one of {', '.join(sorted(known))}, got {self.name!r}")
        accepted = set(inspect.signature(known[self.name]).parameters) - {"params", "lr"}
        unknown = sorted(set(self.options) - accepted)
        if unknown:
            raise ValueError(f"{self.name} takes the options {', '.join(sorted(accepted))}, got {', '.join(unknown)}")
        if self.learning_rate is not None and not self.learning_rate > 0.0:
            raise ValueError(f"learning_rate of {self.name} must be positive, got {self.learning_rate}")

    def make(self, parameters: Sequence[nn.Parameter], learning_rate: float) -> Optimizer:
        """The optimizer; `learning_rate` is used where the settings name none. Fused where the class can be."""
        cls: Callable[..., Optimizer] = _optimizers()[self.name]
        options: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in self.options.items()
        }
        if "fused" in inspect.signature(cls).parameters and "foreach" not in options:
            options.setdefault("fused", True)
        return cls(parameters, lr=self.learning_rate or learning_rate, **options)


@final
class PartedOptimizer(Optimizer):
    """One optimizer for each part of a model, stepped as one object.

    Args:
        parts: the optimizers by name.
    """

    def __init__(self, parts: Mapping[str, Optimizer]) -> None:
        self.parts = dict(parts)
        groups = [group for part in self.parts.values() for group in part.param_groups]
        super().__init__([{"params": group["params"]} for group in groups], {})
        self.param_groups = groups  # the parts' own: a scheduler that changes a group changes the part

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Evaluates `closure` once, then steps every part."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts.values():
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The states of the parts by name."""
        return {name: part.state_dict() for name, part in self.parts.items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the parts.

        Raises:
            ValueError: if the names of the parts differ.
        """
        if set(state_dict) != set(self.parts):
            raise ValueError(f"the optimizer has the parts {sorted(self.parts)}, the saved one {sorted(state_dict)}")
        for name, part in self.parts.items():
            part.load_state_dict(state_dict[name])
        self.param_groups = [group for part in self.parts.values() for group in part.param_groups]


def _optimizers() -> dict[str, type[Optimizer]]:
    return {
        name: each
        for name, each in vars(torch.optim).items()
        if inspect.isclass(each)
        and issubclass(each, Optimizer)
        and each is not Optimizer
        and name not in {"LBFGS", "SparseAdam"}  # they need a closure of several calls, or sparse gradients
    }
