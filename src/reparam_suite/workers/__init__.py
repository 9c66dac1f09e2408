"""Processes that train run after run: local ones that are kept warm, tasks of Ray."""

from reparam_suite.workers.local import LocalProcesses, LocalWorker, is_importing_main
from reparam_suite.workers.pool import Serve, Worker, WorkerPool, WorkersLost
from reparam_suite.workers.sending import obstacle
from reparam_suite.workers.tasks import Outcome, completed

__all__ = [
    "LocalProcesses",
    "LocalWorker",
    "Outcome",
    "Serve",
    "Worker",
    "WorkerPool",
    "WorkersLost",
    "completed",
    "is_importing_main",
    "obstacle",
]
