"""Records of version 0.1.0, in the form of the present version."""

from reparam_suite.versions.callbacks import MONITOR, best_recorded
from reparam_suite.versions.checkpoints import PRESENT, is_earlier_checkpoint, present_checkpoint
from reparam_suite.versions.configurations import check_configuration, is_earlier_configuration, present_configuration
from reparam_suite.versions.errors import WAY_OUT, EarlierVersionError
from reparam_suite.versions.studies import comparable_definition, is_earlier_definition

__all__ = [
    "MONITOR",
    "PRESENT",
    "WAY_OUT",
    "EarlierVersionError",
    "best_recorded",
    "check_configuration",
    "comparable_definition",
    "is_earlier_checkpoint",
    "is_earlier_configuration",
    "is_earlier_definition",
    "present_checkpoint",
    "present_configuration",
]
