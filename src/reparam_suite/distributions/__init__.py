"""Variational families: parameter tensors in, a `torch.distributions` object out.

Every distribution made here has batch_shape `[*B]` and event_shape `[D]`, or `[D, C]` for latents of C classes.
Shapes are checked here, once; the distributions themselves are made with `validate_args=False`.
"""

from reparam_suite.distributions.families import (
    OneHotCategorical,
    bernoulli,
    beta,
    categorical,
    dirichlet,
    family,
    frozen,
    gamma,
    kl_divergence,
    multivariate_normal,
    normal,
    parameters,
    rebuilt,
    reparameterized,
    samples,
    softmax,
    standard_normal,
    von_mises,
    widened,
    with_parameters,
)
from reparam_suite.distributions.posteriors import (
    DiagonalNormal,
    DiscretePosterior,
    FactorizedBernoulli,
    FactorizedCategorical,
    FullCovarianceNormal,
    GaussianPosterior,
    Posterior,
)
from reparam_suite.distributions.scores import score, score_term
from reparam_suite.distributions.von_mises import (
    VonMises,
)

__all__ = [
    "DiagonalNormal",
    "DiscretePosterior",
    "FactorizedBernoulli",
    "FactorizedCategorical",
    "FullCovarianceNormal",
    "GaussianPosterior",
    "OneHotCategorical",
    "Posterior",
    "VonMises",
    "bernoulli",
    "beta",
    "categorical",
    "dirichlet",
    "family",
    "frozen",
    "gamma",
    "kl_divergence",
    "multivariate_normal",
    "normal",
    "parameters",
    "rebuilt",
    "reparameterized",
    "samples",
    "score",
    "score_term",
    "softmax",
    "standard_normal",
    "von_mises",
    "widened",
    "with_parameters",
]
