"""Every public estimator as the tables list it, and the latents on which it is measured."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, Normal

from reparam_suite.comparison.library import MOST_EVALUATIONS, NUM_SAMPLES, Listed, library
from reparam_suite.distributions import (
    DiagonalNormal,
    FactorizedBernoulli,
    FactorizedCategorical,
    OneHotCategorical,
)
from reparam_suite.distributions.posteriors import LatentFamily
from reparam_suite.estimators import Average, Bound, Expectation, GradientEstimator, LogMeanExp
from reparam_suite.models import VAE, DiscreteVAE, GaussianVAE
from reparam_suite.objectives import ELBO, ImportanceWeighted, Objective


@final
@dataclass(frozen=True)
class Entry:
    """A public estimator, or the score function with one of its baselines.

    Attributes:
        name: as the tables show it.
        make: the estimator at its defaults, with other arguments if any are given.
        documented: the classes that describe it, the most special first.
    """

    name: str
    make: Callable[..., GradientEstimator]
    documented: tuple[type, ...]

    @property
    def at_defaults(self) -> GradientEstimator:
        """A fresh one."""
        return self.make()

    def fits(self, latents: "Latents", bound: Bound, **options: Any) -> bool:
        """Whether it takes these latents with this bound, within `MOST_EVALUATIONS`."""
        estimator, q = self.make(**options), latents.example()
        try:
            estimator.check(Expectation(q=q, f=_no_integrand, bound=bound))
        except ValueError:
            return False
        return estimator.evaluations(q) <= MOST_EVALUATIONS

    def bounds(self) -> list[type[Bound]]:
        """The bounds that it supports, its baseline asked too."""
        estimator = self.at_defaults
        accepted = set(estimator.bounds) & set(getattr(estimator, "baseline", estimator).bounds)
        return [bound for bound in (Average, LogMeanExp) if bound in accepted]

    def options(self, bound: type[Bound]) -> dict[str, int]:
        """The arguments that are not left at their defaults on `bound`."""
        return {"num_samples": NUM_SAMPLES} if bound is LogMeanExp else {}


@final
@dataclass(frozen=True)
class Latents:
    """D latents of one family and the model that has them.

    Attributes:
        family: of q.
        size: D.
        num_classes: C of categorical latents.
    """

    family: type[Distribution]
    size: int
    num_classes: int = 0

    def __str__(self) -> str:
        return {Bernoulli: f"{self.size} bits", Normal: f"{self.size} normals"}.get(
            self.family, f"{self.size} x {self.num_classes} classes"
        )

    @property
    def posterior(self) -> LatentFamily:
        """The posterior of the model."""
        if self.family is OneHotCategorical:
            return FactorizedCategorical(num_classes=self.num_classes)
        return FactorizedBernoulli() if self.family is Bernoulli else DiagonalNormal()

    def example(self) -> Distribution:
        """The q of one datum where the encoder's output is 0."""
        family = self.posterior.of_latent_size(self.size)
        return family.distribution(torch.zeros(1, family.num_parameters))

    def model(self, estimator: GradientEstimator, bound: Bound, num_features: int) -> VAE:
        """The VAE with these latents, and two hidden layers of 200 on either side."""
        cls: Callable[..., VAE] = GaussianVAE if self.family is Normal else DiscreteVAE
        return cls(
            event_shape=(num_features,),
            latent_size=self.size,
            posterior=self.posterior,
            estimator=estimator,
            objective=objective_of(bound),
        )

    def largest_for(self, entry: Entry, bound: type[Bound]) -> "Latents | None":
        """These latents, or as many of them as the estimator takes; None if it takes no number of them."""
        if bound not in entry.bounds():
            return None
        return next(
            (smaller for smaller in self._downwards() if entry.fits(smaller, bound(), **entry.options(bound))), None
        )

    def _downwards(self) -> "Iterator[Latents]":
        return (replace(self, size=size) for size in range(self.size, 0, -1))


def objective_of(bound: Bound) -> Objective:
    """The objective whose Expectation has this bound."""
    return ELBO() if isinstance(bound, Average) else ImportanceWeighted(bound=bound)


def entries() -> list[Entry]:
    """Every estimator of the suite, by name; ScoreFunction once for each baseline."""
    return [_entry(listed) for listed in library()]


def entry(name: str) -> Entry:
    """The estimator that the tables list under `name`."""
    return next(listed for listed in entries() if listed.name == name)


def _entry(listed: Listed) -> Entry:
    name = listed.estimator.__name__
    if listed.baseline is None:
        return Entry(name, listed.make, (listed.estimator,))
    return Entry(f"{name}, {listed.baseline.__name__}", listed.make, (listed.baseline, listed.estimator))


def _no_integrand(z: Tensor, q: Distribution) -> Tensor:  # noqa: ARG001
    raise AssertionError("a check of the fit evaluates nothing")
