"""Private names of torch.distributions, and what PyTorch computes samples and log-probabilities from.

Through some public names the gradient is silently zero: they are copies, made when they are asked for. A test asks of
every distribution of PyTorch that its samples and log-probabilities depend on each tensor that is named here.
"""

from collections.abc import Mapping

from torch.distributions import (
    Beta,
    Distribution,
    Gumbel,
    LowRankMultivariateNormal,
    Multinomial,
    MultivariateNormal,
    OneHotCategorical,
    OneHotCategoricalStraightThrough,
    RelaxedBernoulli,
    RelaxedOneHotCategorical,
    Wishart,
)
from torch.distributions.relaxed_categorical import ExpRelaxedCategorical

IN_THE_GRAPH: Mapping[type[Distribution], Mapping[str, str]] = {
    MultivariateNormal: {"loc": "loc", "scale_tril": "_unbroadcasted_scale_tril"},
    LowRankMultivariateNormal: {
        "loc": "loc",
        "cov_factor": "_unbroadcasted_cov_factor",
        "cov_diag": "_unbroadcasted_cov_diag",
    },
    Beta: {"concentration": "_dirichlet.concentration"},
    Gumbel: {"loc": "transforms.-1.loc", "scale": "scale"},
    Wishart: {"df": "df", "scale_tril": "_unbroadcasted_scale_tril"},
}
"""Where the tensors of a class are found whose public names are copies."""

HELD_BY: Mapping[type[Distribution], str] = {
    OneHotCategorical: "_categorical",
    OneHotCategoricalStraightThrough: "_categorical",
    Multinomial: "_categorical",
    RelaxedBernoulli: "base_dist",
    RelaxedOneHotCategorical: "base_dist",
    ExpRelaxedCategorical: "_categorical",
}
"""The attribute of a class that is the distribution which holds its parameters."""

ALTERNATIVES = (
    frozenset({"probs", "logits"}),
    frozenset({"covariance_matrix", "precision_matrix", "scale_tril"}),
)
"""Parameters of which a distribution is made with one and computes the others when they are asked for."""
