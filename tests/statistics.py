"""The statistical threshold of the tests: the one of `reparam_suite.testing`, under the name that tests import."""

from reparam_suite.testing.replicates import Measured, draw_once, measure
from reparam_suite.testing.statistics import LIMIT, NUM_REPLICATES, SEED, Draws

__all__ = ["LIMIT", "NUM_REPLICATES", "SEED", "Draws", "Measured", "draw_once", "measure"]
