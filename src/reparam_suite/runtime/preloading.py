"""The imports that workers need: the server that they are forked from imports this module, and nothing else does."""

import gc
from importlib import import_module

from reparam_suite.runtime.deferral import defer_scipy_signal

# By name: this room is below theirs.
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
    import_module(_name)
gc.freeze()  # the server's objects, whose memory all share
gc.enable()
