"""Options of torch's optimizers, checked before a model is trained: torch looks at some at the first step alone."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any, get_args

import torch
from torch import nn
from torch.optim import Optimizer

from reparam_suite.runtime.errors import ArgumentValueError


def check_options(make: Callable[..., Optimizer], name: str, options: Mapping[str, Any]) -> None:
    """Refuses options that are of another type than the class's defaults, or with which it cannot step.

    Args:
        make: the class.
        name: of the class.
        options: of its constructor, which is known to accept each.

    Raises:
        ValueError: naming the option and what is expected, or the reason.
    """
    parameters = inspect.signature(make).parameters
    for key, value in options.items():
        if (expected := _expected(parameters[key], value)) is not None:
            raise ArgumentValueError(f"options of {name}: expected {expected} for {key}, got {value!r}")
    _try(make, name, {key: value for key, value in options.items() if key != "capturable"})  # which is for GPUs


def _expected(parameter: inspect.Parameter, value: Any) -> str | None:
    # What a value should be that it is not; None of one that is right, or of an option that takes names.
    default = parameter.default
    if default is None and bool in get_args(parameter.annotation):  # torch looks at its truth alone
        return None if value is None or isinstance(value, bool) else "true, false or null"
    if isinstance(default, bool):
        return None if isinstance(value, bool) else "true or false"
    if isinstance(default, Real):
        return None if _is_number(value) else "a finite number"
    if isinstance(default, tuple):
        listed = isinstance(value, Sequence) and not isinstance(value, str) and len(value) == len(default)
        kinds = zip(value, default, strict=True) if listed else ()
        right = listed and all(_is_number(each) or (each is None and known is None) for each, known in kinds)
        return None if right else f"{len(default)} finite numbers"
    return None


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)


def _try(make: Callable[..., Optimizer], name: str, options: Mapping[str, Any]) -> None:
    # Two steps, so that a state is made and used; of a matrix, since Muon takes nothing else.
    parameter = nn.Parameter(torch.eye(2))
    try:
        optimizer = make([parameter], lr=1e-3, **options)
        for _ in range(2):
            parameter.grad = torch.ones(2, 2)
            optimizer.step()
    except Exception as error:  # torch raises whatever comes
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ArgumentValueError(f"options of {name}: expected such as it can step with, got {reason}") from error
    if not parameter.isfinite().all():
        raise ArgumentValueError(f"options of {name}: expected such as leave parameters finite, got {dict(options)}")
