"""scipy.signal, which Lightning's import pulls in and no run uses, loaded at its first use.

Lightning imports the whole of torchmetrics, which imports scipy.signal to check whether it has one name: a quarter of
the time that `import lightning.pytorch` takes.
"""

import importlib.util
import sys
import threading
from types import ModuleType
from typing import Any

_SIGNAL = "scipy.signal"
_lock = threading.RLock()


def defer_scipy_signal() -> None:
    """Makes `import scipy.signal` cheap: the module is found as ever, and runs its code at the first access to a name.

    It is complete from then on. Does nothing where scipy is missing or its module is imported already.
    """
    if _SIGNAL in sys.modules or importlib.util.find_spec("scipy") is None:
        return
    specification = importlib.util.find_spec(_SIGNAL)
    if specification is None:
        return
    module = importlib.util.module_from_spec(specification)
    module.__class__ = _Deferred
    vars(module)["hamming"] = _hamming
    sys.modules[_SIGNAL] = module


def _hamming(*arguments: Any, **options: Any) -> Any:
    # The name that torchmetrics looks for, and gives to scipy.signal for a package that expects it there.
    from scipy.signal.windows import hamming

    return hamming(*arguments, **options)


class _Deferred(ModuleType):
    def __getattr__(self, name: str) -> Any:
        with _lock:
            if type(self) is _Deferred:
                specification = self.__spec__
                assert specification is not None
                assert specification.loader is not None
                self.__class__ = ModuleType  # type: ignore[assignment]
                specification.loader.exec_module(self)
        return getattr(self, name)
