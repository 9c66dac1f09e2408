"""Trials that workers claim: a study ends with exactly those that were asked for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from reparam_suite.runtime.errors import UsageError
from reparam_suite.studies.optuna_internals import trial_id
from reparam_suite.studies.search import Direction
from reparam_suite.studies.storage import unexperimental
from reparam_suite.tracking import flattened
from reparam_suite.versions import WAY_OUT, comparable_definition, is_earlier_definition

_DEFINITION = "definition"

RUNS, ERROR, CALL = "runs", "error", "call"
"""Attributes of a trial: the ids of its MLflow runs, by seed; the reason of its failure; the call that claimed it."""


def found(
    storage: RDBStorage,
    name: str,
    url: str,
    *,
    directions: Sequence[Direction],
    definition: Mapping[str, Any],
    **parts: Any,
) -> Study:
    """The study of this name, made if there is none.

    Args:
        storage: of the study.
        name: of the study.
        url: of the storage, for messages.
        directions: of the objectives.
        definition: of the study, in plain types: it has to be the same whenever the study is resumed.
        parts: a pruner, which no storage keeps.

    Raises:
        UsageError: if there is one that searches something else; both are named.
    """
    existing = {summary.study_name: summary for summary in optuna.get_all_study_summaries(storage)}.get(name)
    known = existing.user_attrs.get(_DEFINITION) if existing else None
    if known is not None:
        _check_definition(known, definition, f"name: study {name} is in {url} already and differs", name)
    study = optuna.create_study(
        storage=storage, study_name=name, directions=list(directions), load_if_exists=True, **parts
    )
    if known is None:
        study.set_user_attr(_DEFINITION, dict(definition))
    return study


def _check_definition(known: Mapping[str, Any], here: Mapping[str, Any], what: str, name: str) -> None:
    mend = f"Give this one another name, for example {name}-2"
    if is_earlier_definition(known):
        known, here = comparable_definition(known), comparable_definition(here)
        mend += f"; {WAY_OUT}"
    if differences := list(_differences(known, here)):
        raise UsageError(f"{what}: {'; '.join(differences)}. {mend}")


def _differences(known: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[str]:
    before, now = ({part: value for part, value in flattened(parts).items() if value != {}} for parts in (known, here))
    for part in dict.fromkeys([*before, *now]):
        if before.get(part, _ABSENT) != now.get(part, _ABSENT):
            yield f"{part} there is {_told(before, part)}, here {_told(now, part)}"


_ABSENT = object()


def _told(parts: Mapping[str, Any], part: str) -> str:
    return " ".join(str(parts[part]).split()) if part in parts else "not given"


def keeps_to_constraints(trial: FrozenTrial) -> bool:
    """Whether a complete trial satisfies all constraints."""
    return all(violation <= 0.0 for violation in trial.constraints.values())


@final
@dataclass(frozen=True)
class Place:
    """One of the trials that were asked for: the first attempt, and those that followed where a worker died.

    Args:
        attempts: in their order.
    """

    attempts: tuple[FrozenTrial, ...]

    @property
    def trial(self) -> FrozenTrial:
        """The attempt that counts."""
        return self.attempts[-1]

    @property
    def number(self) -> int:
        """Of the first attempt."""
        return self.attempts[0].number

    @property
    def state(self) -> TrialState:
        """Of the attempt that counts."""
        return self.trial.state

    @property
    def feasible(self) -> bool:
        """Whether it is complete and satisfies all constraints."""
        return self.state is TrialState.COMPLETE and keeps_to_constraints(self.trial)


@final
@dataclass(frozen=True)
class Claim:
    """A trial that is this worker's.

    Args:
        trial: RUNNING.
        trial_id: of the storage.
        number: of the trial; of its first attempt, if another worker had begun it and died or was stopped.
        again: whether it was begun before.
    """

    trial: Trial
    trial_id: int
    number: int
    again: bool


@final
@dataclass(frozen=True)
class Queue:
    """The places of a study.

    A place is a trial that waits in the storage until one worker, wherever it is, makes it RUNNING. Of the places that
    there are the first `num_trials` count, so that two who make them at once do no harm.

    Args:
        study: which has them.
        storage: of the study.
        num_trials: that are asked for.
    """

    study: Study
    storage: RDBStorage
    num_trials: int

    def fill(self) -> None:
        """Makes the places that are missing."""
        for _ in range(self.num_trials - len(self.places())):
            self.study.add_trial(optuna.create_trial(state=TrialState.WAITING))

    def places(self) -> list[Place]:
        """The places that count, in the order of their numbers."""
        attempts: dict[int, list[FrozenTrial]] = {}
        for trial in self.study.get_trials(deepcopy=False):
            with unexperimental():
                first = RetryHeartbeatStaleTrialCallback.retried_trial_number(trial)
            attempts.setdefault(trial.number if first is None else first, []).append(trial)
        return [Place(tuple(attempts[number])) for number in sorted(attempts)[: self.num_trials]]

    def claim(self) -> Claim | None:
        """A trial that nobody else has; None if none waits."""
        with unexperimental():
            optuna.storages.fail_stale_trials(self.study)
        for place in self.places():
            if place.state is not TrialState.WAITING:
                continue
            own_id = trial_id(place.trial)
            self.storage.record_heartbeat(own_id)  # first: a trial without any never counts as dead
            try:
                ours = self.storage.set_trial_state_values(own_id, TrialState.RUNNING)
            except UpdateFinishedTrialError:
                continue
            if ours:
                return Claim(Trial(self.study, own_id), own_id, place.number, len(place.attempts) > 1)
        return None

    def finished(self) -> bool:
        """Whether no trial waits or runs any more."""
        return all(place.state.is_finished() for place in self.places())

    def close(self) -> None:
        """Closes the connections of this process."""
        self.storage.remove_session()
        self.storage.engine.dispose()
