"""Multi-sample bounds."""

from torch import Tensor
from torch.distributions import Distribution

from reparam_suite.estimators import Bound, Expectation, LogMeanExp
from reparam_suite.objectives.objective import LatentVariableModel, Objective, context_of


class ImportanceWeighted(Objective):
    """The bound of K = `estimator.num_samples` values f = log p(x|z) + log p(z) - log q(z).

    With LogMeanExp the importance-weighted bound, log 1/K sum_k exp f_k: Burda, Grosse & Salakhutdinov (2016),
    arXiv 1509.00519, eq. 8.

    Args:
        bound: what becomes of the K values; by default LogMeanExp.

    Raises:
        ValueError: when it is called on a prior of several layers, whose log-density is itself an estimate: within the
            logarithm that is no bound.
    """

    record_as = "bound"

    def __init__(self, *, bound: Bound | None = None) -> None:
        self.bound: Bound = LogMeanExp() if bound is None else bound

    def __call__(self, model: LatentVariableModel, x: Tensor, step: int) -> Expectation:  # noqa: ARG002
        """The expectation for the data x `[*B, *datum]`."""
        q, prior = model.posterior(x), model.prior()
        if hasattr(prior, "log_ratio"):
            raise ValueError(
                "objective: expected ELBO for a prior of several layers, since an estimate within the logarithm is no "
                "bound, got ImportanceWeighted"
            )

        def f(z: Tensor, q: Distribution) -> Tensor:
            value: Tensor = model.log_likelihood(x, z) + (prior.log_prob(z) - q.log_prob(z))
            return value

        return Expectation(q=q, f=f, bound=self.bound, context=context_of(x, q))
