"""Every public estimator as the tables list it, and the latents on which it is measured."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, Normal

from reparam_suite.comparison.library import MOST_EVALUATIONS, NUM_SAMPLES, Listed, library
from reparam_suite.estimators import Average, Bound, Expectation, GradientEstimator, LogMeanExp
from reparam_suite.models import VAE, DiscreteVAE, GaussianVAE
from reparam_suite.distributions import (
    DiagonalNormal,
    FactorizedBernoulli,
    FactorizedCategorical,
    OneHotCategorical,
    Posterior,
)


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
        """Whether it takes these latents with this bound, and within `MOST_EVALUATIONS`."""
        estimator, q = self.make(**options), latents.posterior.distribution(latents.raw(), latents.size)
        try:
            estimator.check(Expectation(q=q, f=_no_integrand, bound=bound))
        except ValueError:
            return False
        return estimator.evaluations(q) <= MOST_EVALUATIONS

    def bounds(self) -> list[type[Bound]]:
        """The bounds that it supports, its baseline asked too."""
        estimator = self.at_defaults
        accepted = set(estimator.bounds) & set(getattr(estimator, "baseline", estimator).bounds)
        return [each for each in (Average, LogMeanExp) if each in accepted]

    def options(self, bound: type[Bound]) -> dict[str, int]:
        """What is not left at its default on `bound`."""
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
    def posterior(self) -> Posterior:
        """The posterior of the model."""
        if self.family is OneHotCategorical:
            return FactorizedCategorical(num_classes=self.num_classes)
        return FactorizedBernoulli() if self.family is Bernoulli else DiagonalNormal()

    def raw(self) -> Tensor:
        """What an encoder would give for one datum, `[1, number of parameters]`."""
        return torch.zeros(1, self.posterior.num_parameters(self.size))

    def model(self, estimator: GradientEstimator, bound: Bound, num_features: int) -> VAE:
        """The VAE with these latents, and two hidden layers of 200 on either side."""
        cls: Callable[..., VAE] = GaussianVAE if self.family is Normal else DiscreteVAE
        return cls(
            num_features=num_features,
            latent_size=self.size,
            posterior=self.posterior,
            estimator=estimator,
            bound=bound,
        )

    def largest_for(self, entry: Entry, bound: type[Bound]) -> "Latents | None":
        """These latents, or as many of them as the estimator takes; none if it does not take the family at all."""
        if not issubclass(self.family, entry.at_defaults.families) or bound not in entry.bounds():
            return None
        sizes = [replace(self, size=size) for size in range(self.size, 0, -1)]
        fitting = (each for each in sizes if entry.fits(each, bound(), **entry.options(bound)))
        largest = next(fitting, None)
        if largest is None:
            raise ValueError(f"{entry.name} takes {self.family.__name__} latents, but no number of them up to {self}")
        return largest


def entries() -> list[Entry]:
    """Every estimator of the suite, by name; ScoreFunction once for each baseline."""
    return [_entry(each) for each in library()]


def _entry(listed: Listed) -> Entry:
    name = listed.estimator.__name__
    if listed.baseline is None:
        return Entry(name, listed.make, (listed.estimator,))
    return Entry(f"{name}, {listed.baseline.__name__}", listed.make, (listed.baseline, listed.estimator))


def _no_integrand(z: Tensor, q: Distribution) -> Tensor:  # noqa: ARG001
    raise AssertionError("a check of the fit evaluates nothing")
