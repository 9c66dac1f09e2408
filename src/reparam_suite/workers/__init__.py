"""Processes that train run after run: local ones that are kept warm, tasks of Ray."""

from reparam_suite.workers.engines import (
    Engine,
    EngineName,
    LocalEngine,
    add_worker_options,
    check_resources,
    engine_of,
)
from reparam_suite.workers.local import LocalProcesses, LocalWorker, check_main_guard
from reparam_suite.workers.making import MakeRun, check_arguments, made_run
from reparam_suite.workers.pool import Serve, Worker, WorkerPool, WorkersLost
from reparam_suite.workers.sending import obstacle
from reparam_suite.workers.tasks import Outcome, completed, done_here

__all__ = [
    "Engine",
    "EngineName",
    "LocalEngine",
    "LocalProcesses",
    "LocalWorker",
    "MakeRun",
    "Outcome",
    "Serve",
    "Worker",
    "WorkerPool",
    "WorkersLost",
    "add_worker_options",
    "check_arguments",
    "check_main_guard",
    "check_resources",
    "completed",
    "done_here",
    "engine_of",
    "made_run",
    "obstacle",
]
