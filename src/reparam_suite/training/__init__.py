"""Callbacks: what is recorded, kept and shown while a model trains."""

from reparam_suite.training.checkpoints import Checkpoints
from reparam_suite.training.errors import NonFiniteLoss
from reparam_suite.training.gradients import GradientRecord
from reparam_suite.training.journal import Journal
from reparam_suite.training.loop import shorten_loop
from reparam_suite.training.progress import ProgressBar
from reparam_suite.training.record import StepRecord, Validation

__all__ = [
    "Checkpoints",
    "GradientRecord",
    "Journal",
    "NonFiniteLoss",
    "ProgressBar",
    "StepRecord",
    "Validation",
    "shorten_loop",
]
