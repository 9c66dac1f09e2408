"""The runs on record, as a table."""

from dataclasses import replace
from typing import TYPE_CHECKING

from reparam_suite.tracking import Store, TrackingSettings

if TYPE_CHECKING:
    from pandas import DataFrame

_COLUMNS = ("run_id", "name", "estimator", "seed", "status")


def runs(
    filter: str = "",  # noqa: A002 - MLflow's word
    experiment: str | None = None,
    *,
    tracking: TrackingSettings = TrackingSettings(),
) -> "DataFrame":
    """One row per run, the newest first: run_id, name, estimator, seed, status and every metric by its name.

    Comparisons and summaries of studies and sweeps, which train no model, are left out.

    Args:
        filter: a condition in the language of MLflow's search, "tags.lesson = '1' and metrics.`val/elbo` > -30".
        experiment: whose runs; by default that of `tracking`.
        tracking: where they are recorded; by default in mlruns of the working directory.

    Raises:
        RuntimeError: if the condition is none, or the store does not answer.
    """
    from pandas import DataFrame

    settings = replace(tracking, experiment=experiment) if experiment is not None else tracking
    if settings.missing_file() is not None:
        return DataFrame(columns=list(_COLUMNS))
    rows = [
        {
            "run_id": run.run_id,
            "name": run.name,
            "estimator": run.tags.get("estimator.expression", run.estimator),
            "seed": int(run.tags["seed"]) if "seed" in run.tags else None,
            "status": run.status,
            **run.metrics,
        }
        for run in reversed(Store.open(settings).runs(filter))
        if run.is_training
    ]
    metrics = sorted({name for row in rows for name in row} - set(_COLUMNS))
    return DataFrame(rows, columns=[*_COLUMNS, *metrics])
