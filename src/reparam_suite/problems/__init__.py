"""Small problems whose value and gradient are known exactly, for phi and for theta.

Each gives an `Expectation` for the estimators and, by another road (a closed form, a loop over the states,
quadrature), the number that they must find. All are asymmetric: at logit 0 straight-through looks unbiased and an
antithetic pair has no variance at all.
"""

from reparam_suite.problems.base import (
    Problem,
)
from reparam_suite.problems.continuous import (
    BetaModel,
    DirichletModel,
    GammaModel,
    VonMisesModel,
)
from reparam_suite.problems.discrete import (
    BernoulliCurved,
    BernoulliModel,
    BernoulliProblem,
    CategoricalCurved,
    CategoricalModel,
    CategoricalProblem,
    DiscreteProblem,
)
from reparam_suite.problems.gaussian import (
    FullGaussianModel,
    FullGaussianProblem,
    FullGaussianQuadratic,
    FullGaussianWave,
    GaussianModel,
    GaussianProblem,
    GaussianQuadratic,
    GaussianWave,
    ToyGaussian,
)

__all__ = [
    "BernoulliCurved",
    "BernoulliModel",
    "BernoulliProblem",
    "BetaModel",
    "CategoricalCurved",
    "CategoricalModel",
    "CategoricalProblem",
    "DirichletModel",
    "DiscreteProblem",
    "FullGaussianModel",
    "FullGaussianProblem",
    "FullGaussianQuadratic",
    "FullGaussianWave",
    "GammaModel",
    "GaussianModel",
    "GaussianProblem",
    "GaussianQuadratic",
    "GaussianWave",
    "Problem",
    "ToyGaussian",
    "VonMisesModel",
]
