"""Studies: Optuna searches what a run is made of, on one shared study, with many workers.

The only package that imports Optuna.
"""

from reparam_suite.studies.result import StudyResult
from reparam_suite.studies.study import Study

__all__ = ["Study", "StudyResult"]
