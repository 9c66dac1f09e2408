"""Distributions: questions that any `torch.distributions.Distribution` answers, and the families of the suite.

Every distribution made here has batch_shape `[*B]` and event_shape `[D]`, or `[D, C]` for latents of C classes, and is
made with `validate_args=False`: parameters are checked once, where it is built.
"""

from reparam_suite.distributions.conditional import Conditional, Family
from reparam_suite.distributions.discretized import DiscretizedLogistic, DiscretizedLogisticLikelihood
from reparam_suite.distributions.divergences import kl_divergence
from reparam_suite.distributions.factors import factors, family, translated
from reparam_suite.distributions.families import (
    FiniteBernoulli,
    OneHotCategorical,
    UnitNormal,
    bernoulli,
    beta,
    categorical,
    dirichlet,
    gamma,
    multivariate_normal,
    normal,
    standard_normal,
    von_mises,
)
from reparam_suite.distributions.freezing import FrozenDensity, frozen
from reparam_suite.distributions.likelihoods import (
    BernoulliLikelihood,
    IndependentBernoulli,
    IndependentNormal,
    LikelihoodFamily,
    NormalLikelihood,
)
from reparam_suite.distributions.numbers import softmax, widened
from reparam_suite.distributions.parameters import can_be_rebuilt, parameters, rebuilt, with_parameters
from reparam_suite.distributions.posteriors import (
    DiagonalNormal,
    DiscreteFamily,
    FactorizedBernoulli,
    FactorizedCategorical,
    FullCovarianceNormal,
    LatentFamily,
    NormalFamily,
)
from reparam_suite.distributions.priors import BernoulliPrior, CategoricalPrior, NormalPrior, StandardNormal
from reparam_suite.distributions.sampling import (
    has_inverse_cdf,
    inverse_cdf,
    is_reparameterized,
    relaxed,
    reparameterized,
    samples,
)
from reparam_suite.distributions.scores import score, score_term
from reparam_suite.distributions.support import (
    has_mean,
    is_discrete,
    is_real,
    mean_of,
    num_states,
    probabilities,
    support_of,
)
from reparam_suite.distributions.von_mises import VonMises

__all__ = [
    "BernoulliLikelihood",
    "BernoulliPrior",
    "CategoricalPrior",
    "Conditional",
    "DiagonalNormal",
    "DiscreteFamily",
    "DiscretizedLogistic",
    "DiscretizedLogisticLikelihood",
    "FactorizedBernoulli",
    "FactorizedCategorical",
    "Family",
    "FiniteBernoulli",
    "FrozenDensity",
    "FullCovarianceNormal",
    "IndependentBernoulli",
    "IndependentNormal",
    "LatentFamily",
    "LikelihoodFamily",
    "NormalFamily",
    "NormalLikelihood",
    "NormalPrior",
    "OneHotCategorical",
    "StandardNormal",
    "UnitNormal",
    "VonMises",
    "bernoulli",
    "beta",
    "can_be_rebuilt",
    "categorical",
    "dirichlet",
    "factors",
    "family",
    "frozen",
    "gamma",
    "has_inverse_cdf",
    "has_mean",
    "inverse_cdf",
    "is_discrete",
    "is_real",
    "is_reparameterized",
    "kl_divergence",
    "mean_of",
    "multivariate_normal",
    "normal",
    "num_states",
    "parameters",
    "probabilities",
    "rebuilt",
    "relaxed",
    "reparameterized",
    "samples",
    "score",
    "score_term",
    "softmax",
    "standard_normal",
    "support_of",
    "translated",
    "von_mises",
    "widened",
    "with_parameters",
]
