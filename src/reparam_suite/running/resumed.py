"""A run that resumes, checked against its record when its parts are made and nothing has changed yet."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

from reparam_suite.running.assembly import Assembly
from reparam_suite.running.effects import check_effects, recorded_model
from reparam_suite.running.optimizer_states import adapted_states
from reparam_suite.running.record import configuration
from reparam_suite.running.resumption import Resumption, check_weights, header
from reparam_suite.runtime.errors import RunFinishedError, SuiteError, UsageError
from reparam_suite.tracking import TrackingError, flattened
from reparam_suite.training import CheckpointError, ProcessLost, batches_done, keeps_position, nothing_left

# What may differ without a word: how far a run goes, how it is called, how often its state is kept and where,
# where else its numbers go and whether they are shown.
_UNREMARKED = (
    *("trainer.max_steps", "trainer.max_epochs", "trainer.max_time", "trainer.enable_progress_bar", "num_threads"),
    *("name", "tags", "loggers", "checkpoint.", "tracking."),
)


@final
@dataclass(frozen=True)
class Resumed:
    """A run that resumes, before it is on record again.

    Args:
        ended: whether all steps are done already, and only the end of the run is missing.
        optimizer_states: in the place of those of the checkpoint; None where these are right.
    """

    ended: bool = False
    optimizer_states: list[Any] | None = None


def check_resumption(parts: Assembly, resumption: Resumption, tell: Callable[[str], object]) -> Resumed:
    """Compares a run with its record, and reports what the user should know.

    Raises:
        UsageError: if options differ and may not, or would have no effect; if the weights are of another architecture,
            or nothing is left to do.
    """
    present = configuration(parts)
    changes = dict(_changes(resumption.recorded, present))
    told = [f"--{key} {change}" for key, change in changes.items()]
    if changes and not resumption.allow_changes:
        raise UsageError(
            f"run {resumption.run_id} had other options: {'; '.join(told)}. Leave them out, or resume all the same "
            "with --allow_changes true"
        )
    notes = [*resumption.notes, *told, *_about_data(parts)]
    resumed = Resumed()
    if resumption.content:
        ended = _checked(parts, resumption)
        before = recorded_model(parts, resumption) if any(key.startswith("model.") for key in changes) else None
        check_effects(parts, before, changes)
        if not ended:
            _check_order(parts, resumption)
        resumed = Resumed(ended, adapted_states(parts, resumption, before, changes, notes))
    for note in notes:
        tell(note)
    return resumed


def refusal(resumption: Resumption | None, error: BaseException) -> UsageError | None:
    """An error with which the state of a run could not be loaded, as the refusal that it is; None of another one."""
    if resumption is None or isinstance(error, ProcessLost | SuiteError | TrackingError | CheckpointError):
        return None
    if not isinstance(error, Exception):
        return None
    what = f"{resumption.checkpoint or resumption.run_id} cannot be resumed under these options"
    return UsageError(f"resume: {what}: {' '.join(str(error).split())[:300]}; the run is as it was")


def _checked(parts: Assembly, resumption: Resumption) -> bool:
    # Whether all steps are done already.
    _check_class(parts, resumption)
    _check_data(parts, resumption)
    check_weights(parts.model, resumption.content, f"resume: {resumption.checkpoint}")
    ended = nothing_left(parts.trainer, dict(resumption.content))
    if ended and resumption.finished:
        raise RunFinishedError(
            f"run {resumption.run_id} is FINISHED, all of its {resumption.step} steps are done; more are made with "
            "a larger max_steps or max_epochs"
        )
    return ended


def _about_data(parts: Assembly) -> Iterator[str]:
    resumption, data = parts.run.resumption, parts.data
    content = {} if resumption is None else resumption.content
    if data.digest is None:
        yield f"{data.name} has no digest: whether the data are the same as before is not known"
    elif content and header(content).get("digest") is None:
        yield f"no digest of the data is on record: whether {data.name} holds the same as before is not known"
    if data.resumes == "epoch" and content:
        yield f"{data.name} does not keep its position: the epoch in progress begins again"


def _check_data(parts: Assembly, resumption: Resumption) -> None:
    recorded, found = header(resumption.content).get("digest"), parts.data.digest
    if recorded is not None and found is not None and recorded != found:
        raise UsageError(
            f"run {resumption.run_id}: expected the data that it was trained on, of digest {recorded}, "
            f"got {parts.data.name} of digest {found}; a new run may be trained on them"
        )
    if keeps_position(resumption.content) and parts.data.resumes == "epoch":
        raise UsageError(
            f"run {resumption.run_id}: expected data that keep their position, as {_class_of(resumption, 'data')}, on "
            f"which it was trained, got {parts.data.name}, which do not; a new run may be trained on them"
        )


def _check_order(parts: Assembly, resumption: Resumption) -> None:
    # Within an epoch the rows that remain are those of the order with which it was begun.
    before, now = header(resumption.content).get("order") or {}, parts.data.order
    changed = [name for name in before if before[name] != now.get(name)]
    if not changed or not (done := batches_done(resumption.content)):
        return
    known, given = (", ".join(f"{name} {values.get(name)}" for name in changed) for values in (before, now))
    raise UsageError(
        f"run {resumption.run_id}: data: expected {known} to the end of the epoch of which {done} batches are done, "
        f"got {given}, with which other rows would remain; with {known}, max_epochs {resumption.content['epoch'] + 1} "
        "trains to its end"
    )


def _changes(recorded: Mapping[str, Any], present: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    before, now = flattened(recorded), flattened(present)
    for key in dict.fromkeys([*before, *now]):
        if key.startswith(_UNREMARKED) or (key in before and key in now and before[key] == now[key]):
            continue
        yield key, f"was {_told(before, key)}, is {_told(now, key)}"


def _told(values: Mapping[str, Any], key: str) -> str:
    return str(values[key]) if key in values else "not given"


def _check_class(parts: Assembly, resumption: Resumption) -> None:
    recorded, here = _class_of(resumption, "model"), type(parts.model).__name__
    if recorded != here:
        raise UsageError(f"resume: {resumption.checkpoint} is of a {recorded}, this is a {here}")


def _class_of(resumption: Resumption, part: str) -> str:
    there = header(resumption.content)[part]
    return str(there.get("class_path", there.get("opaque"))).rpartition(".")[2]
