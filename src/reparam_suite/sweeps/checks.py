"""Refusals of a sweep before anything is made: values that fit no run, and records of another sweep of its name."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from reparam_suite.runtime.errors import UsageError
from reparam_suite.runtime.plain_data import OPAQUE
from reparam_suite.sweeps.grid import Cell, combinations_of
from reparam_suite.sweeps.prospects import DATA, Prospect, changes, compared, refusal
from reparam_suite.sweeps.records import DEFINITION, expressions_of
from reparam_suite.tracking import RecordedRun, TrackingSettings
from reparam_suite.training import Stopped
from reparam_suite.workers import MakeRun, made_run

# Combinations that a message names.
_TOLD = 3


@final
@dataclass(frozen=True)
class Prospects:
    """The runs of a sweep as they would be made now.

    Attributes:
        by_combination: those that can be made.
        misfits: the reason why the others cannot, by combination.
        tracking: where all of them are recorded.
    """

    by_combination: Mapping[str, Prospect]
    misfits: Mapping[str, str]
    tracking: TrackingSettings

    @property
    def steps(self) -> dict[str, int | None]:
        """Of the optimizer in a run, by combination."""
        return {combination: prospect.num_steps for combination, prospect in self.by_combination.items()}


def prospects_of(make_run: MakeRun, cells: Sequence[Cell], whole: Sequence[Cell], *, skip_misfits: bool) -> Prospects:
    """Makes one run of each combination, and trains none.

    Args:
        make_run: makes a run.
        cells: of this part of the sweep.
        whole: of all parts; what cannot be made in this part is judged by them.
        skip_misfits: whether combinations of which no run can be made are left out.

    Raises:
        UsageError: if no run can be made of some combinations that are not left out, of any with some argument, or
            runs are recorded in different places.
        TrackingError: if a store cannot be used.
    """
    found: dict[str, Prospect] = {}
    misfits: dict[str, str] = {}
    places: list[TrackingSettings] = []

    def make(combinations: Mapping[str, Sequence[Cell]]) -> None:
        for combination, own in combinations.items():
            try:
                run = made_run(make_run, own[0].values, own[0].seed)
                found[combination] = Prospect.of(run)
                places.append(run.tracking)
            except Stopped:
                raise
            except (Exception, SystemExit) as error:  # noqa: BLE001 - others may work
                misfits[combination] = refusal(error)

    own, combinations = combinations_of(cells), combinations_of(whole)
    make(own)
    if misfits or not own:
        make({combination: several for combination, several in combinations.items() if combination not in own})
        _check_misfits(combinations, misfits, skip_misfits=skip_misfits)
    if any(place != places[0] for place in places):
        raise UsageError("make_run: expected the same tracking for all runs of a sweep, got several")
    return Prospects(
        found, {combination: misfits[combination] for combination in own if combination in misfits}, places[0]
    )


def _check_misfits(combinations: Mapping[str, list[Cell]], misfits: Mapping[str, str], *, skip_misfits: bool) -> None:
    fitting = [own[0].values for combination, own in combinations.items() if combination not in misfits]
    for combination, reason in misfits.items():
        values = combinations[combination][0].values
        if lost := next((name for name in values if not any(name in others for others in fitting)), None):
            # No value of it fits anything: it is no option, or all of its values are wrong.
            where = combination if len(values) > 1 else lost
            raise UsageError(f"grid: no run can be made with {where}: {reason}")
    if misfits and not skip_misfits:
        told = [f"{combination}: {reason}" for combination, reason in list(misfits.items())[:_TOLD]]
        more = f"; and {len(misfits) - _TOLD} more" if len(misfits) > _TOLD else ""
        raise UsageError(
            f"grid: expected values that fit each other, got {len(misfits)} of {len(combinations)} combinations that "
            f"make no run: {'; '.join(told)}{more}. skip_misfits leaves them out"
        )


def check_definition(name: str, definition: str | None, known: Sequence[RecordedRun]) -> None:
    """Refuses a sweep whose runs on record were made from another definition.

    Args:
        name: of the sweep.
        definition: JSON of plain values by name; None: nothing is compared.
        known: its runs on record.

    Raises:
        UsageError: with the differences.
    """
    if definition is None:
        return
    for run in known:
        before = run.tags.get(DEFINITION)
        if before is None or before == definition or run.status == "FAILED":
            continue
        texts = [{part: str(value) for part, value in json.loads(each).items()} for each in (before, definition)]
        raise UsageError(
            f"name: sweep {name} is on record already and differs: {'; '.join(changes(*texts))}. "
            f"Give this one another name, for example {name}-2"
        )


def check_finished(
    name: str, cells: Sequence[Cell], prospects: Mapping[str, Prospect], finished: Iterable[RecordedRun]
) -> None:
    """Refuses a sweep that has finished runs of the same values, of any seed, with another model or other data.

    Raises:
        UsageError: with the differences.
    """
    by_values: defaultdict[frozenset[tuple[str, str]], list[RecordedRun]] = defaultdict(list)
    for run in finished:
        by_values[frozenset(expressions_of(run).items())].append(run)
    for combination, own in combinations_of(cells).items():
        runs = by_values[frozenset(own[0].expressions.items())]
        if not runs or combination not in prospects:
            continue
        if (changed := prospects[combination].differences(runs)) is not None:
            raise UsageError(
                f"name: sweep {name} has finished runs of {combination} with another model or other data: "
                f"{changed}. Give this sweep another name, for example {name}-2"
            )


def check_data(name: str, cells: Sequence[Cell], finished: Mapping[str, RecordedRun]) -> None:
    """Refuses a sweep whose data were replaced while it was trained.

    Args:
        name: of the sweep.
        cells: of all runs.
        finished: runs on record, by the cell's key.

    Raises:
        UsageError: naming two runs that describe their data alike and have others.
    """
    if (told := replaced([finished[cell.key] for cell in cells if cell.key in finished])) is not None:
        raise UsageError(
            f"data: expected the same for all runs of sweep {name}, got others under the same name: {told}. "
            f"All runs are on record; give a sweep on the present data another name, for example {name}-2"
        )


def replaced(runs: Sequence[RecordedRun]) -> str | None:
    """How the data of one of these runs differ from those of another that describes them alike; None without any."""
    found: dict[tuple[tuple[str, str], ...], RecordedRun] = {}
    for run in runs:
        described = {name: value for name, value in compared(run.options).items() if name.startswith("data.")}
        if any(name.endswith(f".{OPAQUE}") for name in described):
            described = expressions_of(run)
        other = found.setdefault(tuple(sorted(described.items())), run)
        if (before := other.tags.get(DATA)) != (now := run.tags.get(DATA)):
            return f"run {other.run_id} was trained on data of digest {before}, run {run.run_id} on {now}"
    return None
