"""Sweeps: grids of runs, and the tables that are made of them."""

from reparam_suite.sweeps.grid import Grid
from reparam_suite.sweeps.ledger import Ledger
from reparam_suite.sweeps.result import SweepResult
from reparam_suite.sweeps.shard import Shard
from reparam_suite.sweeps.sweep import Sweep
from reparam_suite.sweeps.table import Table

__all__ = ["Grid", "Ledger", "Shard", "Sweep", "SweepResult", "Table"]
