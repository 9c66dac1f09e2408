"""Callbacks that record, keep and show training, in a run or in any Trainer; and the loop that calls them."""

from reparam_suite.training.between_steps import BetweenSteps
from reparam_suite.training.checkpoint_files import HEADER, CheckpointFiles, read_checkpoint, write_durably
from reparam_suite.training.checkpoints import BEST, LAST, PREVIOUS, Checkpoints, CheckpointSettings, best_of
from reparam_suite.training.compilation import CompiledStep, check_compilable, compile_options
from reparam_suite.training.endpoints import EndpointRecord
from reparam_suite.training.errors import (
    CheckpointError,
    DamagedCheckpoint,
    NonFiniteLoss,
    ProcessLost,
    Stopped,
    UnknownMonitorError,
)
from reparam_suite.training.further_loggers import FurtherLogger
from reparam_suite.training.gradients import GradientRecord, GradientVariance
from reparam_suite.training.journal import Journal, MetricStore
from reparam_suite.training.journal_logger import JournalLogger
from reparam_suite.training.latents import LatentRecord
from reparam_suite.training.loop import shorten_loop
from reparam_suite.training.path import PathRecord
from reparam_suite.training.position import batches_done, end_training, keeps_position, nothing_left
from reparam_suite.training.progress import ProgressBar
from reparam_suite.training.record import StepRecord
from reparam_suite.training.record_settings import RecordSettings
from reparam_suite.training.replicas import Replicas, started_by_another
from reparam_suite.training.samples import SampleRecord
from reparam_suite.training.stopping import STOP_SIGNALS, StopSignals
from reparam_suite.training.validation import HeldOutCallback, Validation

__all__ = [
    "BEST",
    "HEADER",
    "LAST",
    "PREVIOUS",
    "STOP_SIGNALS",
    "BetweenSteps",
    "CheckpointError",
    "CheckpointFiles",
    "CheckpointSettings",
    "Checkpoints",
    "CompiledStep",
    "DamagedCheckpoint",
    "EndpointRecord",
    "FurtherLogger",
    "GradientRecord",
    "GradientVariance",
    "HeldOutCallback",
    "Journal",
    "JournalLogger",
    "LatentRecord",
    "MetricStore",
    "NonFiniteLoss",
    "PathRecord",
    "ProcessLost",
    "ProgressBar",
    "RecordSettings",
    "Replicas",
    "SampleRecord",
    "StepRecord",
    "StopSignals",
    "Stopped",
    "UnknownMonitorError",
    "Validation",
    "batches_done",
    "best_of",
    "check_compilable",
    "compile_options",
    "end_training",
    "keeps_position",
    "nothing_left",
    "read_checkpoint",
    "shorten_loop",
    "started_by_another",
    "write_durably",
]
