"""Runs on record in MLflow; the only room that imports it.

Importing this package does not import MLflow; opening a `Store` does.
"""

from reparam_suite.tracking.environment import environment_tags, run_name
from reparam_suite.tracking.images import log_image
from reparam_suite.tracking.loggers import LoggerOfRun
from reparam_suite.tracking.names import check_key
from reparam_suite.tracking.reading import RecordedRun
from reparam_suite.tracking.reasons import reason
from reparam_suite.tracking.records import flattened
from reparam_suite.tracking.recovery import Recovered
from reparam_suite.tracking.redaction import redact
from reparam_suite.tracking.run_logger import RunLogger
from reparam_suite.tracking.settings import LONGEST_NAME, TrackingError, TrackingSettings
from reparam_suite.tracking.store import Store
from reparam_suite.tracking.tables import foreign_tables, sqlite_tables
from reparam_suite.tracking.tensorboard import TensorBoard
from reparam_suite.tracking.weights_and_biases import WeightsAndBiases

__all__ = [
    "LONGEST_NAME",
    "LoggerOfRun",
    "RecordedRun",
    "Recovered",
    "RunLogger",
    "Store",
    "TensorBoard",
    "TrackingError",
    "TrackingSettings",
    "WeightsAndBiases",
    "check_key",
    "environment_tags",
    "flattened",
    "foreign_tables",
    "log_image",
    "reason",
    "redact",
    "run_name",
    "sqlite_tables",
]
