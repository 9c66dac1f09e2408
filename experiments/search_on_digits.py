"""Does a search pay, and does it pay to learn from the trials before?

    python -m experiments.search_on_digits

Three models of the embedded digits; learning rate (1e-4 .. 1e-1) and latent size (2 .. 64) are searched, both on a
logarithmic scale, in 30 trials of the length of conf/studies/digits.yaml. TPE, which learns from trial to trial,
against independent draws; the first ten of both are the same. Each search is a study like any other. The choices of
TPE and the defaults are then trained again with seeds that no search has seen, for the best of 30 trials is lucky as
well as good. An experiment that was interrupted resumes.
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, final

import numpy as np
import optuna
from experiments.presenting import Experiment, Findings, rounded
from experiments.setting import Length, Setting
from experiments.trainings import num_workers, require_success
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from optuna.distributions import FloatDistribution, IntDistribution

from reparam_suite import Run, Study, Sweep
from reparam_suite.data import Digits
from reparam_suite.estimators import DisARM, GradientEstimator, LeaveOneOut, Pathwise, ScoreFunction
from reparam_suite.figures import COLOURS, QUIET, WIDTH, styled
from reparam_suite.models import VAE, DiscreteVAE, GaussianVAE
from reparam_suite.studies.result import StudyResult
from reparam_suite.tracking import TrackingSettings
from reparam_suite.training import RecordSettings

Sampler: TypeAlias = Literal["TPESampler", "RandomSampler"]

NAME = "search_on_digits"
NUM_TRIALS, NUM_STEPS = 30, 600
NUM_SEARCHES: Mapping[Length, Mapping[Sampler, int]] = {
    "short": {"TPESampler": 1, "RandomSampler": 1},
    "full": {"TPESampler": 5, "RandomSampler": 5},
}
FRESH_SEEDS = (1, 2, 3, 4, 5)
SPACE = {"learning_rate": FloatDistribution(1e-4, 1e-1, log=True), "latent_size": IntDistribution(2, 64, log=True)}
METRIC = "val/elbo"


@final
@dataclass(frozen=True)
class Model:
    """The model of a search.

    Args:
        name: in the names of studies.
        title: in the figure.
        cls: its class.
        estimator: makes its estimator.
        defaults: the values with which its searched ones are compared, those of conf/.
    """

    name: str
    title: str
    cls: type[GaussianVAE | DiscreteVAE]
    estimator: Callable[[], GradientEstimator]
    defaults: Mapping[str, Any]


def _leave_one_out() -> GradientEstimator:
    return ScoreFunction(num_samples=2, baseline=LeaveOneOut())


_NORMALS = {"learning_rate": 1e-3, "latent_size": 10}
_BITS = {"learning_rate": 1e-3, "latent_size": 200}
MODELS = (
    Model("gaussian", "GaussianVAE, Pathwise", GaussianVAE, Pathwise, _NORMALS),
    Model("disarm", "DiscreteVAE, DisARM", DiscreteVAE, DisARM, _BITS),
    Model("leave_one_out", "DiscreteVAE, LeaveOneOut", DiscreteVAE, _leave_one_out, _BITS),
)


@final
@dataclass(frozen=True)
class Found:
    """The results of the searches of one model, in nats.

    Args:
        tpe: values of the trials of each search, in their order.
        random: likewise.
        defaults: the base's options, one value for each fresh seed.
        chosen: the best options of each TPE search, one value for each fresh seed.
    """

    tpe: Sequence[Sequence[float]]
    random: Sequence[Sequence[float]]
    defaults: Sequence[float]
    chosen: Sequence[Sequence[float]]

    def numbers(self) -> dict[str, float]:
        """The comparison; a gain is the mean over fresh seeds, less that of the defaults."""
        best = [max(values) for values in self.tpe]
        gains = [statistics.fmean(values) - statistics.fmean(self.defaults) for values in self.chosen]
        return {
            "defaults": statistics.fmean(self.defaults),
            "defaults_spread": statistics.stdev(self.defaults),
            "tpe_best": statistics.median(best),
            "tpe_worst_best": min(best),
            "random_best": best_of(self.random, NUM_TRIALS, 0.5),
            "random_trial": statistics.median(value for values in self.random for value in values),
            "chosen": statistics.fmean(value for values in self.chosen for value in values),
            "chosen_spread": math.sqrt(statistics.fmean(statistics.variance(values) for values in self.chosen)),
            "least_gain": min(gains),
        }


def best_of(searches: Sequence[Sequence[float]], num_trials: int, probability: float) -> float:
    """A quantile of the best of so many trials, drawn without replacement from all that there are.

    All subsets are counted: the i-th smallest of N values is at least the best in C(i, n) of C(N, n) draws of n.
    """
    values = sorted(value for values in searches for value in values)
    total = math.comb(len(values), num_trials)
    enough = (i for i in range(num_trials, len(values) + 1) if math.comb(i, num_trials) >= probability * total)
    return values[next(enough) - 1]


@final
@dataclass(frozen=True)
class Training:
    """Makes the run of a trial: a model of the digits.

    Args:
        model: its name.
        tracking: where it is recorded.
    """

    model: str
    tracking: TrackingSettings

    def __call__(self, *, learning_rate: float, latent_size: int, seed: int) -> Run:
        """The run."""
        cls, make_estimator = next((model.cls, model.estimator) for model in MODELS if model.name == self.model)

        def make_model() -> VAE:
            return cls(
                event_shape=(64,), latent_size=latent_size, estimator=make_estimator(), learning_rate=learning_rate
            )

        return Run(
            make_model,
            Digits(),
            seed=seed,
            max_steps=NUM_STEPS,
            tags={"experiment": NAME},
            trainer={"accelerator": "cpu"},
            record=RecordSettings(test_data=0),
            tracking=self.tracking,
        )


def answer(setting: Setting) -> Findings:
    """Runs the searches that are missing, trains the choices again, and compares."""
    num_searches = NUM_SEARCHES[setting.length]
    found = {model: _found(model, num_searches, setting.tracking) for model in MODELS}
    numbers: dict[str, Any] = {
        "trials": NUM_TRIALS,
        "searches": dict(num_searches),
        "seeds": len(FRESH_SEEDS),
        "steps": NUM_STEPS,
    }
    rows = []
    for model, search in found.items():
        told = search.numbers()
        numbers[model.name] = {key: rounded(value) for key, value in told.items()}
        shown = ("tpe_best", "random_best", "random_trial", "defaults", "chosen", "least_gain", "defaults_spread")
        rows.append([model.title, *(f"{told[key]:.2f}" for key in shown)])
    columns = ("model", "TPE", "random", "one draw", "defaults", "chosen", "gain", "± seed")
    return Findings(numbers, columns, rows, figure(found))


def _found(model: Model, num_searches: Mapping[Sampler, int], tracking: TrackingSettings) -> Found:
    results = {
        sampler: [_search(model, sampler, index, tracking) for index in range(number)]
        for sampler, number in num_searches.items()
    }
    tpe, random = ([_values(result) for result in results[sampler]] for sampler in ("TPESampler", "RandomSampler"))
    chosen = [
        _fresh(model, f"choice of TPE {index}", result.best_params or {}, tracking)
        for index, result in enumerate(results["TPESampler"])
    ]
    return Found(tpe, random, _fresh(model, "defaults", model.defaults, tracking), chosen)


def _search(model: Model, sampler: Sampler, index: int, tracking: TrackingSettings) -> StudyResult:
    study = Study(
        Training(model.name, tracking),
        space=SPACE,
        objective=METRIC,
        num_trials=NUM_TRIALS,
        seed=100 + index,
        name=f"search-{model.name}-{sampler}-{index}",
        storage=f"sqlite:///{tracking.root}/optuna.db",
        sampler=getattr(optuna.samplers, sampler)(seed=100 + index),
    )
    return study.run()


def _values(result: StudyResult) -> list[float]:
    # A trial that failed, diverged say, has cost as much as any other and is as bad as none.
    return [-math.inf if math.isnan(value) else value for value in result.frame[METRIC]]


def _fresh(model: Model, what: str, chosen: Mapping[str, Any], tracking: TrackingSettings) -> list[float]:
    """The metric at fixed options, for each fresh seed."""
    sweep = Sweep(
        Training(model.name, tracking),
        grid={name: [value] for name, value in chosen.items()},
        seeds=FRESH_SEEDS,
        name=f"search-{model.name}, {what}",
        workers=num_workers(),
    )
    frame = sweep.run().frame
    require_success(frame["reason"])
    return list(frame[METRIC])


@styled
def figure(found: Mapping[Model, Found]) -> Figure:
    """A panel for each model: the best so far against trials, and the choices with fresh seeds."""
    whole = Figure(figsize=(WIDTH * 1.35, 3.6))
    panels = whole.subplots(1, len(found))
    for ax, (model, search) in zip(panels, found.items(), strict=True):
        _panel(ax, search)
        ax.set_title(model.title)
    panels[0].set_ylabel("validation ELBO, nats")
    whole.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return whole


def _panel(ax: Axes, found: Found) -> None:
    trials = range(1, NUM_TRIALS + 1)
    quantiles = {p: [best_of(found.random, n, p) for n in trials] for p in (0.1, 0.5, 0.9)}
    # The worst of few draws is no matter.
    lowest = min(quantiles[0.1][4], statistics.fmean(found.defaults) - 2.0 * statistics.stdev(found.defaults))
    ax.fill_between(trials, quantiles[0.1], quantiles[0.9], color=COLOURS[1], alpha=0.15, linewidth=0)
    ax.plot(trials, quantiles[0.5], color=COLOURS[1], label="random draws: median and 10 to 90 % over their orders")
    for index, values in enumerate(found.tpe):
        label = "TPE, each search" if index == 0 else None
        ax.plot(trials, np.maximum.accumulate(values), color=COLOURS[0], linewidth=1.1, alpha=0.8, label=label)
    _again(ax, 33.0, found.defaults, QUIET, "o", "defaults, fresh seeds")
    for index, values in enumerate(found.chosen):
        _again(ax, 36.0 + 2.0 * index, values, COLOURS[0], "D", "TPE's choice, fresh seeds" if index == 0 else None)
    ax.set(xlabel="trials", ylim=(lowest, None), xlim=(0, 37.0 + 2.0 * len(found.chosen)), xticks=(1, 10, 20, 30))


def _again(ax: Axes, x: float, values: Sequence[float], colour: str, marker: str, label: str | None) -> None:
    spread = statistics.stdev(values)
    ax.errorbar(x, statistics.fmean(values), spread, color=colour, marker=marker, capsize=2, linewidth=1, label=label)


EXPERIMENT = Experiment(
    name=NAME,
    question="What does a search over learning rate and latent size find, and what do random draws at the same cost?",
    answer=answer,
    short=f"one search of {NUM_TRIALS} trials for each model and sampler",
    full="five searches",
)

if __name__ == "__main__":
    raise SystemExit(EXPERIMENT.main())
