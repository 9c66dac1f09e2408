"""Callbacks: what is recorded, kept and shown while a model trains; and the loop that calls them."""

from reparam_suite.training.between_steps import BetweenSteps
from reparam_suite.training.checkpoint_files import HEADER, CheckpointFiles, read_checkpoint, write_durably
from reparam_suite.training.checkpoints import BEST, LAST, PREVIOUS, Checkpoints, CheckpointSettings
from reparam_suite.training.compilation import compile_options
from reparam_suite.training.endpoints import EndpointRecord
from reparam_suite.training.errors import CheckpointError, DamagedCheckpoint, NonFiniteLoss, ProcessLost, Stopped
from reparam_suite.training.gradients import GradientRecord
from reparam_suite.training.journal import Journal
from reparam_suite.training.latents import LatentRecord
from reparam_suite.training.loop import shorten_loop
from reparam_suite.training.path import PathRecord
from reparam_suite.training.position import end_training, nothing_left
from reparam_suite.training.progress import ProgressBar
from reparam_suite.training.record import StepRecord, Validation
from reparam_suite.training.replicas import Replicas
from reparam_suite.training.stopping import StopSignals

__all__ = [
    "BEST",
    "HEADER",
    "LAST",
    "PREVIOUS",
    "BetweenSteps",
    "CheckpointError",
    "CheckpointFiles",
    "CheckpointSettings",
    "Checkpoints",
    "DamagedCheckpoint",
    "EndpointRecord",
    "GradientRecord",
    "Journal",
    "LatentRecord",
    "NonFiniteLoss",
    "PathRecord",
    "ProcessLost",
    "ProgressBar",
    "Replicas",
    "StepRecord",
    "StopSignals",
    "Stopped",
    "Validation",
    "compile_options",
    "end_training",
    "nothing_left",
    "read_checkpoint",
    "shorten_loop",
    "write_durably",
]
