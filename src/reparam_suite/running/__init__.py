"""Runs: a model and data, trained, tested and recorded; resumed, loaded and listed."""

from reparam_suite.running.listing import runs
from reparam_suite.running.loading import load
from reparam_suite.running.result import Result
from reparam_suite.running.run import Run
from reparam_suite.running.same_data import SameData
from reparam_suite.running.surroundings import Observer, RunStopped, Surroundings

__all__ = ["Observer", "Result", "Run", "RunStopped", "SameData", "Surroundings", "load", "runs"]
