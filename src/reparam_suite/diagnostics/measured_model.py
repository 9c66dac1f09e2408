"""The interface of models that are measured: an expectation of each batch, an estimator, parameters in named parts."""

from collections.abc import Iterator
from typing import Any, Protocol

from torch import nn

from reparam_suite.estimators import Expectation, GradientEstimator

OWN = "own"
"""The part of the parameters that a model holds itself, outside of its child modules."""


class MeasuredModel(Protocol):
    """An nn.Module with an `expectation` and an `estimator`; `parameter_groups()` names its parts if there is one."""

    estimator: GradientEstimator

    def expectation(self, batch: Any, /) -> Expectation:
        """The objective over the batch, as an expectation."""


def trained_parameters(model: MeasuredModel) -> dict[str, list[nn.Parameter]]:
    """The parameters whose gradient is measured, by part: trainable ones that no GradientEstimator holds.

    The parts are those of the model's own `parameter_groups()` if there is one, else one for each child module, in
    order, with each parameter once, and `own` for the model's own. Parts without any such parameter are left out.
    """
    module = as_module(model)
    controls = {parameter for estimator in estimators(module) for parameter in estimator.parameters()}
    named: Any = getattr(module, "parameter_groups", None)
    groups: dict[str, list[nn.Parameter]] = _by_child(module) if named is None else named()
    trained = {
        name: [parameter for parameter in group if parameter.requires_grad and parameter not in controls]
        for name, group in groups.items()
    }
    return {name: group for name, group in trained.items() if group}


def as_module(model: MeasuredModel) -> nn.Module:
    """The model as a module.

    Raises:
        TypeError: if it is none, or has no `expectation` or no `estimator`.
    """
    lacking = [name for name in ("expectation", "estimator") if not hasattr(model, name)]
    if not isinstance(model, nn.Module) or lacking:
        what = f"{type(model).__name__} without {' and '.join(lacking)}" if lacking else type(model).__name__
        raise TypeError(f"model: expected an nn.Module with expectation(batch) and an estimator, got {what}")
    return model


def estimators(module: nn.Module) -> Iterator[GradientEstimator]:
    """The estimators of a module and of the layers within it, the outermost ones alone."""
    for child in module.children():
        if isinstance(child, GradientEstimator):
            yield child
        else:
            yield from estimators(child)


def layers(module: nn.Module) -> Iterator[nn.Module]:
    """The modules that hold an estimator as their attribute `estimator`: the model and the layers within it."""
    if isinstance(getattr(module, "estimator", None), GradientEstimator):
        yield module
    for child in module.children():
        if not isinstance(child, GradientEstimator):
            yield from layers(child)


def _by_child(module: nn.Module) -> dict[str, list[nn.Parameter]]:
    seen: set[nn.Parameter] = set()
    groups: dict[str, list[nn.Parameter]] = {}
    for name, child in module.named_children():
        groups[name] = [parameter for parameter in child.parameters() if parameter not in seen]
        seen |= set(groups[name])
    groups[OWN] = [parameter for parameter in module.parameters(recurse=False) if parameter not in seen]
    return groups
