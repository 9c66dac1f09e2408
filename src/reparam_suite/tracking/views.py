"""Views of an experiment on MLflow's page: columns, charts and the order of both, stored as tags of the experiment.

MLflow's own page writes such tags for "Save as new view", and reads them where an address names one. What it draws
without a view: sections in alphabetical order, a curve for every single value, and comparisons among trainings.
"""

import base64
import json
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

KIND = "kind"
"""Tag of a run: what it is the record of."""
TRAINING, COMPARISON, SUMMARY = "training", "comparison", "summary"
"""Values of that tag: a model that was trained, estimators or runs that were compared, a study."""

_TAG = "mlflow.sharedViewState."
"""Prefix of the name of a view's tag on the experiment; the rest is its key in addresses."""

# Milliseconds since 1970 of all views: they are the same whoever writes them.
_CREATED = 1_700_000_000_000

STANDARD = (
    *("val/elbo", "val/kl", "val/reconstruction", "val/elbo_best", "val/elbo_best_step"),
    *("train/elbo", "train/kl", "train/reconstruction", "grad/encoder/variance", "grad/decoder/variance"),
    *("grad_path/encoder/variance_per_element", "test/elbo", "test/kl", "test/bound_100"),
    *("time/ms_per_step", "cost/ms_per_gradient", "cost/peak_mib", "cost/evaluations"),
)
"""Metrics of a Gaussian VAE: those of the views of an experiment without runs."""

_PARAMETERS = ("estimator", "data", "seed", "latent_size", "learning_rate")

_WIDTH = 85
_WIDTHS = {"params.`estimator`": 130, "params.`seed`": 50, "params.`data`": 65}
"""Pixels of columns."""

_CURVES = (
    ("elbo", "bound", "objective", "relaxed_elbo", "loss"),
    ("kl",),
    ("reconstruction",),
)
"""Last parts of the names of curves, in the order of the charts; of val, then of train."""


@final
@dataclass(frozen=True)
class View:
    """A prepared view.

    Args:
        key: by which an address names it.
        title: in the menu of views.
        mode: CHART or TABLE.
        state: of MLflow's page.
    """

    key: str
    title: str
    mode: str
    state: Mapping[str, Any]

    def tag(self) -> str:
        """The value of the experiment's tag that holds the view."""
        packed = base64.b64encode(zlib.compress(json.dumps(self.state).encode(), 9)).decode()
        stored = {"name": self.title, "createdAt": _CREATED, "updatedAt": _CREATED, "state": f"deflate;{packed}"}
        return json.dumps(stored)

    def address(self, experiment_id: str) -> str:
        """The part of an address of MLflow's page after the server's name."""
        return (
            f"#/experiments/{experiment_id}/runs?workflowType=machine_learning&compareRunsMode={self.mode}"
            f"&viewStateShareKey={self.key}"
        )


def description(experiment_id: str) -> str:
    """The description of an experiment, in Markdown, with links to its views."""
    links = " · ".join(f"[{view.title}]({view.address(experiment_id)})" for view in views(STANDARD))
    return f"Trainings of latent-variable models, each with its gradient estimator.\n\n{links}"


def tags(metrics: Collection[str]) -> dict[str, str]:
    """The tags of an experiment that hold its views."""
    return {f"{_TAG}{view.key}": view.tag() for view in views(metrics)}


def views(metrics: Collection[str], parts: Sequence[str] = ("encoder", "decoder")) -> list[View]:
    """The views of an experiment: the curves of its trainings, their table, options against results, everything else.

    Args:
        metrics: of its runs.
        parts: of the models whose gradient's variance is shown first.
    """
    trainings, others = f'tags.{KIND} = "{TRAINING}"', f'tags.{KIND} != "{TRAINING}"'
    columns, charts = _columns(metrics), _charts(metrics, parts)
    grouped = {"aggregateFunction": "average", "groupByKeys": [{"mode": "param", "groupByData": "estimator"}]}
    return [
        View("curves", "Training curves", "CHART", _state(trainings, columns, charts, grouped)),
        View("table", "Table of runs", "TABLE", _state(trainings, columns, charts, None)),
        # The page draws names of estimators on an axis only where no runs are grouped.
        View("options", "Options against results", "CHART", _state(trainings, columns, [_axes(metrics, parts)], None)),
        View("others", "Comparisons and summaries", "TABLE", _state(others, [f"tags.`{KIND}`"], [], None)),
    ]


def _state(
    filter_string: str, columns: Sequence[str], sections: Sequence["_Section"], group_by: Mapping[str, Any] | None
) -> dict[str, Any]:
    return {
        "searchFilter": filter_string,
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(columns),
        "columnOrder": list(columns),
        "columnWidths": {name: _WIDTHS.get(name, _WIDTH) for name in columns},
        "compareRunCharts": [card for section in sections for card in section.cards()],
        "compareRunSections": [section.described() for section in sections],
        "isAccordionReordered": True,
        "hideEmptyCharts": True,
        "useGroupedValuesInCharts": True,
        "groupBy": group_by,
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
    }


def _columns(metrics: Collection[str]) -> list[str]:
    wanted = ("val/elbo_best", "test/elbo", "grad/encoder/variance", "time/ms_per_step")
    shown = [name for name in wanted if name in metrics]
    return [f"params.`{name}`" for name in _PARAMETERS] + [f"metrics.`{name}`" for name in shown]


@final
@dataclass(frozen=True)
class _Section:
    """A section of charts: parallel coordinates, curves and bars, in an order."""

    title: str
    curves: Sequence[str] = ()
    bars: Sequence[str] = ()
    axes: tuple[Sequence[str], Sequence[str]] | None = None  # parameters and metrics
    logarithmic: Collection[str] = ()
    shown: bool = True

    def described(self) -> dict[str, Any]:
        return {
            "uuid": self.title,
            "name": self.title,
            "display": self.shown,
            "isReordered": True,
            "deleted": False,
            "isGenerated": False,
            "columns": 2 if self.axes is None else 1,
            "cardHeight": 230 if self.axes is None else 300,
        }

    def cards(self) -> Iterator[dict[str, Any]]:
        if self.axes is not None:
            parameters, metrics = self.axes
            yield {
                "uuid": f"{self.title} parallel",
                "type": "PARALLEL",
                "metricSectionId": self.title,
                "displayName": "options against results",
                "selectedParams": [*parameters],
                "selectedMetrics": [*metrics],
                "showAllRuns": False,
                "runsCountToCompare": 100,
                "deleted": False,
                "isGenerated": False,
            }
        for kind, names in (("LINE", self.curves), ("BAR", self.bars)):
            for name in names:
                card = {
                    "uuid": f"{self.title} {name}",
                    "type": kind,
                    "metricSectionId": self.title,
                    "metricKey": name,
                    "displayName": name,
                    "runsCountToCompare": 10,
                    "deleted": False,
                    "isGenerated": False,
                }
                yield card | (_line(name, logarithmic=name in self.logarithmic) if kind == "LINE" else {})


def _line(name: str, *, logarithmic: bool) -> dict[str, Any]:
    return {
        "selectedMetricKeys": [name],
        "lineSmoothness": 0,
        "scaleType": "log" if logarithmic else "linear",
        "xAxisScaleType": "linear",
        "xAxisKey": "step",
        "selectedXAxisMetricKey": "",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "range": {},
        "ignoreOutliers": False,
        "useGlobalXaxisKey": True,
        "useGlobalLineSmoothing": True,
    }


def _axes(metrics: Collection[str], parts: Sequence[str]) -> _Section:
    # The last one colours the lines.
    wanted = ("time/ms_per_step", *(f"grad/{part}/variance" for part in parts[:1]), "val/elbo_best")
    return _Section(
        "Options against results",
        axes=(("estimator", "latent_size", "learning_rate"), [name for name in wanted if name in metrics]),
    )


def _charts(metrics: Collection[str], parts: Sequence[str]) -> list[_Section]:
    known = set(metrics)
    bound = [f"{split}/{name}" for split in ("val", "train") for name in _CURVES[0] if f"{split}/{name}" in known]
    first = bound[:1]
    variances = [f"grad/{part}/variance" for part in parts if f"grad/{part}/variance" in known]
    rest = [f"val/{name}" for names in _CURVES[1:] for name in names if f"val/{name}" in known]
    path = sorted(name for name in known if name.startswith("grad_path/"))
    single = ("test/", "time/", "cost/", "memory/", "latent/test/")
    bars = sorted(name for name in known if name.startswith(single) and not name.endswith("_standard_error"))
    training = [*first, *variances[:1], *rest, *variances[1:], *path]
    told = {*training, *bars}
    others = sorted(name for name in known - told if not name.endswith(("_best", "_best_step")))
    by_prefix: dict[str, list[str]] = {}
    for name in others:
        by_prefix.setdefault(name.rpartition("/")[0] or "others", []).append(name)
    return [
        _Section("Training", curves=training, logarithmic={*variances, *path}),
        _Section("Results and costs", bars=bars),
        *(_Section(prefix, curves=names, shown=False) for prefix, names in by_prefix.items()),
    ]
