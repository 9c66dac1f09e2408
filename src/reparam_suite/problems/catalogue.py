"""All problems, by the latents of q, and the K up to which their multi-sample bounds have an exact value at hand."""

from collections.abc import Mapping

from reparam_suite.problems.base import Problem
from reparam_suite.problems.continuous import BetaModel, DirichletModel, GammaModel, VonMisesModel
from reparam_suite.problems.discrete import BernoulliCurved, BernoulliModel, CategoricalCurved, CategoricalModel
from reparam_suite.problems.gaussian import (
    FullGaussianModel,
    FullGaussianQuadratic,
    FullGaussianWave,
    GaussianModel,
    GaussianQuadratic,
    GaussianWave,
    ToyGaussian,
)

Problems = tuple[type[Problem], ...]

NORMAL: Problems = (ToyGaussian, GaussianQuadratic, GaussianWave, GaussianModel)
FULL_NORMAL: Problems = (FullGaussianQuadratic, FullGaussianWave, FullGaussianModel)
BERNOULLI: Problems = (BernoulliCurved, BernoulliModel)
CATEGORICAL: Problems = (CategoricalCurved, CategoricalModel)
IMPLICIT: Problems = (GammaModel, BetaModel, DirichletModel, VonMisesModel)
PROBLEMS: Problems = (*NORMAL, *FULL_NORMAL, *BERNOULLI, *CATEGORICAL, *IMPLICIT)

MOST_SAMPLES: Mapping[type[Problem], int] = {
    BernoulliModel: 4,
    CategoricalModel: 4,
    GaussianModel: 2,
    FullGaussianModel: 2,
    VonMisesModel: 2,
}
"""The largest K of a multi-sample bound, by problem.

Its exact value is a sum over S^K states (8 or 9 of a discrete problem), or over a grid in 2 K dimensions: beyond these
K it takes more than some seconds.
"""
