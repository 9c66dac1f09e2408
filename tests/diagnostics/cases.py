"""Small models, one for every estimator and posterior that fit together."""

import copy
import inspect
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from reparam_suite import estimators
from reparam_suite.diagnostics import estimated_by, incompatibility
from reparam_suite.diagnostics.measured_model import layers
from reparam_suite.distributions import (
    BernoulliLikelihood,
    DiagonalNormal,
    FactorizedBernoulli,
    FactorizedCategorical,
    FullCovarianceNormal,
    LatentFamily,
    NormalLikelihood,
)
from reparam_suite.estimators import (
    Average,
    Bound,
    GradientEstimator,
    LeaveOneOut,
    LogMeanExp,
    MovingAverage,
    Pathwise,
    ScoreFunction,
    StickTheLanding,
)
from reparam_suite.models import VAE, DiscreteVAE, GaussianVAE
from reparam_suite.objectives import ELBO, ImportanceWeighted

NUM_FEATURES = 6
POSTERIORS: dict[str, LatentFamily] = {
    "diagonal": DiagonalNormal(),
    "full": FullCovarianceNormal(),
    "bits": FactorizedBernoulli(),
    "classes": FactorizedCategorical(num_classes=3),
}
AVERAGE = Average()


@dataclass(frozen=True)
class Case:
    estimator: GradientEstimator
    posterior: str
    bound: Bound = AVERAGE
    name: str = ""
    num_layers: int = 1

    def __str__(self) -> str:
        name = self.name or type(self.estimator).__name__
        layers = f"-{self.num_layers}_layers" if self.num_layers > 1 else ""
        return f"{name}-{type(self.bound).__name__}-{self.posterior}{layers}"

    def model(self) -> VAE:
        """A trained-looking model: float64, a learned prior, weights away from their symmetric start."""
        posterior, normal = POSTERIORS[self.posterior], self.posterior in ("diagonal", "full")
        cls = GaussianVAE if normal else DiscreteVAE
        with torch.random.fork_rng():
            torch.manual_seed(5)
            model = cls(
                event_shape=(NUM_FEATURES,),
                likelihood=NormalLikelihood() if self.posterior == "full" else BernoulliLikelihood(),
                latent_size=3 if self.posterior != "classes" else 2,
                hidden_sizes=(5,),
                activation="tanh",
                posterior=posterior,
                prior="learned",
                estimator=Pathwise() if normal else ScoreFunction(),
                objective=ELBO() if isinstance(self.bound, Average) else ImportanceWeighted(bound=self.bound),
                **({} if normal else {"num_layers": self.num_layers}),
            ).double()
            # A copy, since its dtype changes and lazy layers get their shapes.
            estimator = copy.deepcopy(self.estimator)
            with estimated_by(model, estimator):
                own = [layer.estimator for layer in layers(model)]
            for layer, estimator_of_layer in zip(layers(model), own, strict=True):
                layer.estimator = estimator_of_layer
            if reason := incompatibility(model, data(2), model.estimator):
                raise ValueError(reason)
            for parameter in model.parameters():
                parameter.data += 0.3 * torch.randn_like(parameter)
        return model


def data(num_data: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(11)
    return torch.rand(num_data, NUM_FEATURES, dtype=torch.float64, generator=generator).round()


def library() -> list[type[GradientEstimator]]:
    return [
        cls
        for name in estimators.__all__
        if inspect.isclass(cls := getattr(estimators, name))
        and issubclass(cls, GradientEstimator)
        and not inspect.isabstract(cls)
    ]


def _all_cases() -> list[Case]:
    cases = [
        Case(cls(), posterior, bound)
        for cls in library()
        for posterior in POSTERIORS
        for bound in (Average(), LogMeanExp())
        if _fits(cls(), posterior, bound)
    ]
    rloo = ScoreFunction(num_samples=4, baseline=LeaveOneOut())
    cases += [Case(rloo, posterior, name="RLOO4") for posterior in ("diagonal", "bits", "classes")]
    cases.append(Case(ScoreFunction(baseline=MovingAverage()), "bits", name="MovingAverage"))
    cases.append(Case(ScoreFunction(num_samples=3, baseline=LeaveOneOut()), "bits", LogMeanExp(), name="VIMCO3"))
    cases.append(Case(Pathwise(num_samples=4), "diagonal", LogMeanExp(), name="IWAE4"))
    cases.append(Case(StickTheLanding(num_samples=4), "full", LogMeanExp(), name="DReG4"))
    layered = [replace(case, num_layers=2) for case in cases if _takes_layers(case)]
    return [*cases, *layered, Case(rloo, "bits", name="RLOO4", num_layers=3)]


def _takes_layers(case: Case) -> bool:
    return case.posterior in ("bits", "classes") and isinstance(case.bound, Average)


def _fits(estimator: GradientEstimator, posterior: str, bound: Bound) -> bool:
    try:
        Case(estimator, posterior, bound).model()
    except ValueError:
        return False
    return True


CASES = _all_cases()
