"""Optimizers by part of a model."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from numbers import Real
from typing import Any, final

import torch
from torch import nn
from torch.optim import Optimizer

from reparam_suite.models.optimizer_options import check_options
from reparam_suite.models.schedules import Schedule, ScheduledRates, checked_schedule
from reparam_suite.runtime.construction import construct


@dataclass(frozen=True, kw_only=True)  # not @final: jsonargparse takes no instance of a final class as a default
class OptimizerSettings:
    """An optimizer of torch.optim and what it is given.

    Args:
        name: the class: Adam, RAdam, SGD, ...
        learning_rate: its step size; without one, that of the model.
        options: further arguments of the class, such as {betas: [0.9, 0.999]}.
        schedule: of the learning rate; without one it stays.

    Raises:
        ValueError: if torch.optim has no such class, the class no such option, or it cannot step with its value.
    """

    name: str = "Adam"
    learning_rate: float | None = None
    options: dict[str, Any] = field(default_factory=dict)
    schedule: Schedule | None = None

    def __post_init__(self) -> None:
        known = _optimizers()
        if self.name not in known:
            raise ValueError(f"optimizer: expected a name among {', '.join(sorted(known))}, got {self.name!r}")
        accepted = set(inspect.signature(known[self.name]).parameters) - {"params", "lr", "differentiable"}
        if not isinstance(self.options, Mapping):
            raise TypeError(f"options of {self.name}: expected a mapping of names to values, got {self.options!r}")
        unknown = sorted(map(str, set(self.options) - accepted))
        if unknown:
            raise ValueError(
                f"options of {self.name}: expected some of {', '.join(sorted(accepted))}, got {', '.join(unknown)}"
            )
        if self.options:
            check_options(known[self.name], self.name, self._arguments(known[self.name]))
        if self.learning_rate is not None:
            require_rate(f"learning_rate of {self.name}", self.learning_rate)
            object.__setattr__(self, "learning_rate", float(self.learning_rate))
        checked_schedule(self.schedule)

    def make(self, parameters: Sequence[nn.Parameter], learning_rate: float) -> Optimizer:
        """The optimizer; `learning_rate` is used where the settings name none. Fused where the class can be."""
        cls: Callable[..., Optimizer] = _optimizers()[self.name]
        return cls(parameters, lr=self.learning_rate or learning_rate, **self._arguments(cls))

    def _arguments(self, cls: Callable[..., Optimizer]) -> dict[str, Any]:
        options = {key: tuple(value) if isinstance(value, list) else value for key, value in self.options.items()}
        if "fused" in inspect.signature(cls).parameters and "foreach" not in options:
            options.setdefault("fused", True)
        return options


Optimizers = OptimizerSettings | Mapping[str, Any]  # by part: settings, or their arguments as files have them
"""Settings for all parts of a model, or by the part's name; parts that are not named have the defaults."""


def require_rate(name: str, rate: Any) -> None:
    """Refuses a learning rate that is not a positive, finite number.

    Raises:
        ValueError: naming it.
    """
    if isinstance(rate, bool) or not isinstance(rate, Real) or not 0.0 < float(rate) < math.inf:
        raise ValueError(f"{name}: expected a positive, finite number, got {rate!r}")


def checked(optimizer: Any) -> Optimizers:
    """The settings, held to their type; those of a part may be a mapping of arguments.

    Raises:
        TypeError: naming the part whose settings are none.
    """
    if isinstance(optimizer, Mapping):
        _check_schedule(optimizer)
        optimizer = {part: _made(part, settings) for part, settings in optimizer.items()}
    by_part = optimizer if isinstance(optimizer, dict) else {"": optimizer}
    for part, settings in by_part.items():
        if not isinstance(settings, OptimizerSettings):
            name = f"optimizer[{part!r}]" if part else "optimizer"
            accepted = ", ".join(field.name for field in fields(OptimizerSettings))
            mend = f"; settings for all parts are {accepted}" if part else ""
            raise TypeError(f"{name}: expected OptimizerSettings, got {type(settings).__name__}{mend}")
    checked: Optimizers = optimizer
    return checked


def _check_schedule(by_part: Mapping[str, Any]) -> None:
    # Settings for all parts whose schedule is none come as if they were those of a part called schedule.
    for key, value in by_part.items():
        if key.partition(".")[0] == "schedule":
            ours = sorted(cls.__name__ for cls in Schedule.__subclasses__() if cls.__module__ == Schedule.__module__)
            known = " or ".join(ours)
            raise TypeError(f"optimizer.{key}: expected {known} with its own options, got {value!r:.100}")


def _made(part: str, settings: Any) -> Any:
    if not isinstance(settings, Mapping):
        return settings
    accepted = [field.name for field in fields(OptimizerSettings)]
    if unknown := sorted(set(settings) - set(accepted)):
        raise TypeError(f"optimizer[{part!r}]: expected {', '.join(accepted)}, got {', '.join(unknown)}")
    return OptimizerSettings(**construct(settings))  # of a file: its schedule is one of ours, by its class path


def optimizer_of(
    optimizer: Optimizers, groups: Mapping[str, Sequence[nn.Parameter]], learning_rate: float
) -> Optimizer:
    """One optimizer for each of the different settings; if there are several, an object that steps all of them.

    Args:
        optimizer: settings.
        groups: the model's parameters by part.
        learning_rate: of settings that name none.

    Raises:
        ValueError: if settings name a part that the model does not have, or there is nothing to train.
    """
    made = {
        ", ".join(parts): settings.make([p for part in parts for p in groups[part]], learning_rate)
        for settings, parts in _together(optimizer, groups)
    }
    return next(iter(made.values())) if len(made) == 1 else PartedOptimizer(made)


def rates_of(
    made: Optimizer, optimizer: Optimizers, groups: Mapping[str, Sequence[nn.Parameter]]
) -> ScheduledRates | None:
    """The learning rates of an optimizer that `optimizer_of` has just made; None if no settings have a schedule."""
    schedules = [settings.schedule for settings, _ in _together(optimizer, groups)]
    return None if all(each is None for each in schedules) else ScheduledRates(made, schedules)


def _together(
    optimizer: Optimizers, groups: Mapping[str, Sequence[nn.Parameter]]
) -> list[tuple[OptimizerSettings, list[str]]]:
    # The different settings, and the parts that have them.
    by_part = optimizer if isinstance(optimizer, Mapping) else {}
    default = OptimizerSettings() if isinstance(optimizer, Mapping) else optimizer
    unknown = set(by_part) - {*groups, *PARTS}
    if unknown:
        raise ValueError(f"optimizer: expected parts among {', '.join(groups)}, got {', '.join(sorted(unknown))}")
    if not groups:
        raise ValueError("optimizer: expected a model with parameters to train, got none")
    together: list[tuple[OptimizerSettings, list[str]]] = []
    for part in groups:
        settings = by_part.get(part, default)
        same = next((parts for known, parts in together if known == settings), None)
        if same is None:
            together.append((settings, [part]))
        else:
            same.append(part)
    return together


PARTS = ("encoder", "decoder", "prior", "control")
"""Parts of a VAE: settings may name one that a model happens not to have, for example a fixed prior."""


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
            raise ValueError(f"optimizer: expected the parts {sorted(state_dict)}, as saved, got {sorted(self.parts)}")
        for name, part in self.parts.items():
            part.load_state_dict(state_dict[name])
        self.param_groups = [group for part in self.parts.values() for group in part.param_groups]


def _optimizers() -> dict[str, type[Optimizer]]:
    return {
        name: cls
        for name, cls in vars(torch.optim).items()
        if inspect.isclass(cls)
        and issubclass(cls, Optimizer)
        and cls is not Optimizer
        and name not in {"LBFGS", "SparseAdam"}  # they need a closure of several calls, or sparse gradients
    }
