"""The imports that workers need: the server that they are forked from imports this module, and nothing else does."""

import gc
from contextlib import suppress
from importlib import import_module

from reparam_suite.runtime.deferral import defer_scipy_signal

# By name: importing their room first would import torch and Lightning before the collector is off.
_MODULES = (
    "reparam_suite.workers.local",
    "reparam_suite.running",
    "mlflow",
    "mlflow.store.tracking.sqlalchemy_store",
    "matplotlib.pyplot",
    "sklearn.datasets",
)

gc.disable()
defer_scipy_signal()
for _name in _MODULES:
    with suppress(ImportError):  # a worker that needs it says so itself
        import_module(_name)
gc.freeze()  # the server's objects, whose memory all share
gc.enable()
