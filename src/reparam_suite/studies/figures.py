"""Figures of a study: as PNG, and together as one interactive page that needs no network."""

import csv
import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from reparam_suite.studies.queue import ERROR, RUNS, keeps_to_constraints
from reparam_suite.studies.storage import unexperimental

if TYPE_CHECKING:
    from matplotlib.figure import Figure


# Names of options are long: Optuna's figures cut them off where they are as small as matplotlib makes them.
_ROOM: Any = {
    "figure.figsize": (9.0, 4.5),
    "figure.dpi": 120,
    "savefig.bbox": "tight",
    "savefig.pad_inches": 0.15,
}


def drawn(study: Study, metrics: tuple[str, ...]) -> Iterator[tuple[str, "Figure"]]:
    """Name and matplotlib figure of all that the study has trials enough for."""
    import matplotlib as mpl
    from matplotlib.ticker import NullFormatter
    from optuna.visualization import matplotlib

    for name, draw in _plots(matplotlib, study, metrics):
        with mpl.rc_context(_ROOM), _quietly():  # Optuna sets a style for all figures that follow
            axes = np.atleast_1d(np.asarray(draw(), dtype=object)).flat[0]
            for panel in axes.figure.axes:  # on a short logarithmic axis their labels would lie upon each other
                panel.xaxis.set_minor_formatter(NullFormatter())
                panel.yaxis.set_minor_formatter(NullFormatter())
            yield name, axes.figure


@contextmanager
def _quietly() -> Iterator[None]:
    # Warned of are few trials and equal values, which a figure shows, and the sign that `_plots` sees to.
    with unexperimental(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def write_page(study: Study, metrics: tuple[str, ...], file: Path) -> None:
    """Writes the same figures, to be pointed at and zoomed, as one HTML page."""
    from optuna import visualization

    with _quietly():
        figures = [draw() for _, draw in _plots(visualization, study, metrics)]
    # The first brings plotly's script, for all of them.
    parts = [figure.to_html(full_html=False, include_plotlyjs=index == 0) for index, figure in enumerate(figures)]
    file.write_text(
        f"<!doctype html><html><head><meta charset='utf-8'><title>{study.study_name}</title></head>"
        f"<body>{''.join(parts)}</body></html>",
        encoding="utf-8",
    )


def _plots(module: Any, study: Study, metrics: tuple[str, ...]) -> Iterator[tuple[str, Callable[[], Any]]]:
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    for index, metric in enumerate(metrics):
        for function in _functions(study, index):
            options: dict[str, Any] = {"target_name": metric}
            if len(metrics) > 1:
                # Importances are those of low values, wherever they are given what to look at.
                turned = function == "plot_param_importances" and study.directions[index] is StudyDirection.MAXIMIZE
                options["target"] = partial(_value, index, -1.0 if turned else 1.0)
            name = function.removeprefix("plot_") + ("" if len(metrics) == 1 else f"-{metric.replace('/', '-')}")
            yield name, partial(getattr(module, function), study, **options)
    if len(metrics) in (2, 3) and complete:
        yield "pareto_front", partial(module.plot_pareto_front, study, target_names=list(metrics))


def _value(index: int, sign: float, trial: FrozenTrial) -> float:
    return sign * float(trial.values[index])


def _functions(study: Study, index: int) -> Iterator[str]:
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not complete:
        return
    yield "plot_optimization_history"
    # Importances compare trials: several, of different values, with parameters that all of them have.
    common = set.intersection(*[set(trial.params) for trial in complete])
    if len({trial.values[index] for trial in complete}) > 1 and common:
        yield "plot_param_importances"
    yield from ("plot_parallel_coordinate", "plot_slice")


def table(study: Study, metrics: tuple[str, ...]) -> str:
    """All trials with values, parameters, state, times and MLflow runs, as CSV."""
    trials = study.get_trials(deepcopy=False)
    parameters = list(dict.fromkeys(name for trial in trials for name in trial.params))
    columns = ["number", "state", "feasible", *metrics, *parameters, "seconds", "retry_of", "runs", "error"]
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for trial in trials:
        values: Mapping[str, Any] = dict(zip(metrics, trial.values or [], strict=False))
        writer.writerow(
            {
                "number": trial.number,
                "state": trial.state.name,
                "feasible": str(keeps_to_constraints(trial)).lower() if trial.state is TrialState.COMPLETE else "",
                "seconds": f"{trial.duration.total_seconds():.3f}" if trial.duration else "",
                "retry_of": trial.system_attrs.get("failed_trial", ""),
                "runs": " ".join(trial.user_attrs.get(RUNS, [])),
                "error": trial.user_attrs.get(ERROR, ""),
                **values,
                **trial.params,
            }
        )
    return out.getvalue()
