"""The result of a study: its trials as a table, the best one, and figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

from optuna.trial import FrozenTrial, TrialState

from reparam_suite.studies.display import best_trials
from reparam_suite.studies.figures import drawn
from reparam_suite.studies.queue import CALL, ERROR, RUNS, Place, Queue

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from optuna.study import Study as OptunaStudy
    from pandas import DataFrame


@final
@dataclass(frozen=True, eq=False)
class StudyResult:
    """A study whose trials have all ended.

    Attributes:
        frame: one row per trial: trial, state, run_id, seed, the searched arguments, the objective under its metric's
            name, and the reason of a trial that failed or was pruned.
        trained: how many trials this call has run.
        best_params: the arguments of the best trial; None if none is complete.
        best_run_id: of its run; None likewise.
    """

    frame: "DataFrame"
    trained: int
    best_params: Mapping[str, Any] | None
    best_run_id: str | None
    _study: "OptunaStudy" = field(repr=False)
    _metrics: tuple[str, ...] = field(repr=False)

    def figures(self) -> "dict[str, Figure]":
        """Figures of the trials by name, as many as there are trials enough for; drawn at each call."""
        return dict(drawn(self._study, self._metrics))


def result_of(queue: Queue, *, arguments: Sequence[str], metric: str, seed: int, call: str) -> StudyResult:
    """The result of a study with one objective.

    Args:
        queue: of its trials.
        arguments: that are searched.
        metric: the objective.
        seed: of the study.
        call: the word of the call whose trials are counted.
    """
    from pandas import DataFrame

    places = queue.places()
    rows = [_row(place, arguments, metric, seed) for place in places]
    best = next(iter(best_trials(queue)), None)
    return StudyResult(
        frame=DataFrame(rows, columns=["trial", "state", "run_id", "seed", *arguments, metric, "reason"]),
        trained=sum(place.trial.user_attrs.get(CALL) == call and place.state.is_finished() for place in places),
        best_params=None if best is None else {name: best.params[name] for name in arguments},
        best_run_id=None if best is None else _run_id(best),
        _study=queue.study,
        _metrics=(metric,),
    )


def _row(place: Place, arguments: Sequence[str], metric: str, seed: int) -> dict[str, Any]:
    trial = place.trial
    complete = trial.state is TrialState.COMPLETE
    return {
        "trial": place.number,
        "state": trial.state.name,
        "run_id": _run_id(trial),
        "seed": seed + place.number,
        **{name: trial.params.get(name) for name in arguments},
        metric: trial.value if complete else float("nan"),
        "reason": trial.user_attrs.get(ERROR),
    }


def _run_id(trial: FrozenTrial) -> str | None:
    runs = trial.user_attrs.get(RUNS) or []
    return str(runs[0]) if runs else None
