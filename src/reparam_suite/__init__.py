"""Gradient estimators for latent-variable models: train, measure, compare.

The names below are imported at their first use: importing this package imports neither torch nor Lightning.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reparam_suite.running.listing import runs as runs
    from reparam_suite.running.loading import load as load
    from reparam_suite.running.result import Result as Result
    from reparam_suite.running.run import Run as Run

_MODULES = {
    "Result": "reparam_suite.running.result",
    "Run": "reparam_suite.running.run",
    "Study": "reparam_suite.studies.study",
    "Sweep": "reparam_suite.sweeps.sweep",
    "compare_gradients": "reparam_suite.comparison.compare",
    "load": "reparam_suite.running.loading",
    "runs": "reparam_suite.running.listing",
}

__all__ = ["Result", "Run", "Study", "Sweep", "compare_gradients", "load", "runs"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # it takes longer than the rest of this package's import

        return version("reparam_suite")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from reparam_suite.runtime.deferral import defer_scipy_signal

    defer_scipy_signal()  # Lightning's import would load it
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES, "__version__"])
