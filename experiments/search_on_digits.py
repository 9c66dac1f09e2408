"""Does a search pay, and does it pay to learn from the trials before?

    python -m experiments.search_on_digits

Three models of the embedded digits; learning rate (1e-4 .. 1e-1) and latent size (2 .. 64) are searched, both on a
logarithmic scale, in 30 trials of the length of conf/studies/digits.yaml. TPE, which learns from trial to trial,
against independent draws; the first ten of both are the same. Each search is a study like any other. What TPE has
found and the defaults are then trained again with seeds that no search has seen, for the best of 30 trials is lucky as
well as good. An experiment that was interrupted goes on.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, final

import numpy as np
import optuna
import yaml
from experiments.presenting import HERE, Experiment, Findings, Length, Setting, rounded
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reparam_suite import study
from reparam_suite.figures import COLOURS, QUIET, WIDTH, styled
from reparam_suite.tracking import Store, TrackingSettings

Sampler: TypeAlias = Literal["TPESampler", "RandomSampler"]

CONF = HERE.parent / "conf"
NUM_TRIALS = 30
NUM_SEARCHES: Mapping[Length, Mapping[Sampler, int]] = {
    "short": {"TPESampler": 1, "RandomSampler": 1},
    "full": {"TPESampler": 5, "RandomSampler": 5},
}
FRESH_SEEDS = (1, 2, 3, 4, 5)
SPACE = {"model.learning_rate": {"log_float": [1e-4, 1e-1]}, "model.latent_size": {"log_int": [2, 64]}}
METRIC = "val/elbo"


@final
@dataclass(frozen=True)
class Model:
    """What is searched over.

    Args:
        name: in the names of studies.
        title: in the figure.
        base: of conf/; the model's defaults are its.
        options: over those of the base.
    """

    name: str
    title: str
    base: str
    options: tuple[tuple[str, Any], ...] = ()


MODELS = (
    Model("gaussian", "GaussianVAE, Pathwise", "gaussian_vae.yaml"),
    Model("disarm", "DiscreteVAE, DisARM", "discrete_vae.yaml", (("model.estimator", "DisARM"),)),
    Model(
        "leave_one_out",
        "DiscreteVAE, LeaveOneOut",
        "discrete_vae.yaml",
        (
            ("model.estimator", "ScoreFunction"),
            ("model.estimator.num_samples", 2),
            ("model.estimator.baseline", "LeaveOneOut"),
        ),
    ),
)


@final
@dataclass(frozen=True)
class Found:
    """What the searches of one model found, in nats.

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


def answer(setting: Setting) -> Findings:
    """Searches what has not been searched yet, trains the choices again, and compares."""
    num_searches = NUM_SEARCHES[setting.length]
    for model in MODELS:
        for sampler, number in num_searches.items():
            for index in range(number):
                _search(model, sampler, index, setting.root)
    found = {model: _found(model, num_searches, setting.root) for model in MODELS}
    numbers: dict[str, Any] = {
        "trials": NUM_TRIALS,
        "searches": dict(num_searches),
        "seeds": len(FRESH_SEEDS),
        "steps": _budget()["steps"],
    }
    rows = []
    for model, each in found.items():
        told = each.numbers()
        numbers[model.name] = {key: rounded(value) for key, value in told.items()}
        shown = ("tpe_best", "random_best", "random_trial", "defaults", "chosen", "least_gain", "defaults_spread")
        rows.append([model.title, *(f"{told[key]:.2f}" for key in shown)])
    columns = ("model", "TPE", "random", "one draw", "defaults", "chosen", "gain", "± seed")
    return Findings(numbers, columns, rows, figure(found))


def _found(model: Model, num_searches: Mapping[Sampler, int], root: Path) -> Found:
    studies = {
        sampler: [_study(model, sampler, index, root) for index in range(number)]
        for sampler, number in num_searches.items()
    }
    tpe, random = ([_values(each) for each in studies[sampler]] for sampler in ("TPESampler", "RandomSampler"))
    best = [each.best_params for each in studies["TPESampler"]]
    chosen = [_fresh(model, f"tpe-{index}", options, root) for index, options in enumerate(best)]
    config = yaml.safe_load((CONF / model.base).read_text())["model"]["init_args"]
    defaults = {option: config[option.removeprefix("model.")] for option in SPACE}
    return Found(tpe, random, _fresh(model, "defaults", defaults, root), chosen)


def _budget() -> dict[str, int]:
    budget: dict[str, int] = yaml.safe_load((CONF / "studies" / "digits.yaml").read_text())["budget"]
    return budget


def _search(model: Model, sampler: Sampler, index: int, root: Path) -> None:
    name = f"search-{model.name}-{sampler}-{index}"
    settings = {
        "space": SPACE,
        "trials": NUM_TRIALS,
        "sampler": {"name": sampler, "options": {"seed": 100 + index}},
    }
    _run(name, model, dict(model.options), settings, root)


def _fresh(model: Model, what: str, chosen: Mapping[str, Any], root: Path) -> list[float]:
    """The metric at fixed options, for each fresh seed."""
    name = f"search-{model.name}-{what}-again"
    size = {"model.latent_size": {"categorical": [chosen["model.latent_size"]]}}  # of one choice: nothing is searched
    options = {**dict(model.options), "model.learning_rate": chosen["model.learning_rate"]}
    _run(name, model, options, {"space": size, "trials": 1, "seeds": list(FRESH_SEEDS)}, root)
    (trial,) = optuna.load_study(study_name=name, storage=_storage(root)).get_trials(states=(_COMPLETE,))
    store = Store.open(TrackingSettings(experiment=name, root=root))
    return [store.history(run_id, METRIC)[-1][1] for run_id in trial.user_attrs["runs"]]


def _run(name: str, model: Model, options: Mapping[str, Any], settings: Mapping[str, Any], root: Path) -> None:
    if _finished(name, settings["trials"], root):
        return
    file = root / "search_on_digits" / f"{name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    # The best trial's bound of many samples is paid for where a study is an end in itself.
    common = {"name": name, "base": str((CONF / model.base).resolve()), "budget": _budget()}
    whole = {**common, **settings, "options": {**options, "record.test_data": 0}}
    file.write_text(yaml.safe_dump(whole, sort_keys=False), encoding="utf-8")
    if code := study.main(["--config", str(file), "--tracking.root", str(root)]):
        raise SystemExit(code)  # it has said why


def _finished(name: str, num_trials: int, root: Path) -> bool:
    if not (root / "optuna.db").exists():
        return False
    there = optuna.get_all_study_names(_storage(root))
    if name not in there:
        return False
    trials = optuna.load_study(study_name=name, storage=_storage(root)).get_trials(deepcopy=False)
    return len(trials) >= num_trials and all(trial.state.is_finished() for trial in trials)


def _study(model: Model, sampler: Sampler, index: int, root: Path) -> optuna.Study:
    return optuna.load_study(study_name=f"search-{model.name}-{sampler}-{index}", storage=_storage(root))


def _values(searched: optuna.Study) -> list[float]:
    # A trial that failed, diverged say, has cost as much as any other and is as bad as none.
    trials = searched.get_trials(deepcopy=False)
    begun_again = {trial.system_attrs.get("failed_trial") for trial in trials}
    return [trial.values[0] if trial.values else -math.inf for trial in trials if trial.number not in begun_again]


def _storage(root: Path) -> str:
    return f"sqlite:///{root}/optuna.db"


_COMPLETE = optuna.trial.TrialState.COMPLETE


@styled
def figure(found: Mapping[Model, Found]) -> Figure:
    """A panel for each model: the best so far against trials, and what the choices do with fresh seeds."""
    whole = Figure(figsize=(WIDTH * 1.35, 3.6))
    panels = whole.subplots(1, len(found))
    for ax, (model, each) in zip(panels, found.items(), strict=True):
        _panel(ax, each)
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
    name="search_on_digits",
    question="What does a search over learning rate and latent size find, and what do random draws at the same cost?",
    answer=answer,
    short=f"one search of {NUM_TRIALS} trials for each model and sampler",
    full="five searches",
)

if __name__ == "__main__":
    raise SystemExit(EXPERIMENT.main())
