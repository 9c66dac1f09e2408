"""The parts of a model: its trainable parameters by name."""

from collections.abc import Iterable

from torch import nn

from reparam_suite.estimators import GradientEstimator

CONTROL = "control"
"""The part of the estimators' own parameters: trained, and not measured."""


def child_groups(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """One part for each child module, in order; `own` for the model's own parameters, `control` for estimators'."""
    groups: dict[str, list[nn.Parameter]] = {"own": list(model.parameters(recurse=False))}
    for name, child in model.named_children():
        groups.setdefault(name, []).extend(child.parameters())
    return with_control(model, groups)


def with_control(model: nn.Module, groups: dict[str, list[nn.Parameter]]) -> dict[str, list[nn.Parameter]]:
    """The groups with the parameters of all estimators within the model taken out and put last, as `control`.

    Every parameter belongs to one group, the first that has it; parameters that are not trained belong to none.
    """
    control = [p for module in model.modules() if isinstance(module, GradientEstimator) for p in module.parameters()]
    taken = set(control)
    parted = {name: _once(group, taken) for name, group in groups.items()}
    parted[CONTROL] = _once(control, set())
    return {name: group for name, group in parted.items() if group}


def _once(group: Iterable[nn.Parameter], taken: set[nn.Parameter]) -> list[nn.Parameter]:
    kept = []
    for parameter in group:
        if parameter.requires_grad and parameter not in taken:
            taken.add(parameter)
            kept.append(parameter)
    return kept
