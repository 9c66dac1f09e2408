"""Every estimator of the suite as tables list it: at its defaults, ScoreFunction once for each baseline."""

from dataclasses import dataclass
from typing import Any, final

from reparam_suite.commands.classes import concrete_subclasses
from reparam_suite.estimators import Baseline, GradientEstimator, ScoreFunction

MOST_EVALUATIONS = 512
"""Of f per datum: an estimator that needs more is measured only if it is named, or on fewer latents."""

NUM_SAMPLES = 4
"""K of a baseline that needs other samples, as DiscreteVAE has it."""


@final
@dataclass(frozen=True)
class Listed:
    """An estimator's class, or the score function with one of its baselines.

    Attributes:
        estimator: its class.
        baseline: of the score function.
    """

    estimator: type[GradientEstimator]
    baseline: type[Baseline] | None = None

    def make(self, **options: Any) -> GradientEstimator:
        """A fresh one, at its defaults but for `options`.

        Raises:
            ValueError: if it does not take them.
        """
        if self.baseline is None:
            return self.estimator(**options)
        several = {"num_samples": NUM_SAMPLES} if self.baseline.fewest_samples > 1 else {}
        return self.estimator(**{**several, "baseline": self.baseline(), **options})


def library() -> list[Listed]:
    """Every estimator of the suite, by name."""
    return [
        listed
        for cls in _by_name(GradientEstimator)
        for listed in (
            [Listed(cls, baseline) for baseline in _by_name(Baseline)] if cls is ScoreFunction else [Listed(cls)]
        )
    ]


def _by_name(base: type[Any]) -> list[type[Any]]:
    return sorted(concrete_subclasses(base), key=lambda cls: cls.__name__.lower())
