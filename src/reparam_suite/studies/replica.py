"""Further processes of a trial that trains on several devices; the first one is the worker."""

from collections.abc import Mapping

from rich.console import Console

from reparam_suite.running import RunStopped, Surroundings
from reparam_suite.studies.reports import TrialObserver
from reparam_suite.studies.search import Search
from reparam_suite.studies.space import Options
from reparam_suite.training import ProcessLost, Stopped, StopSignals


def train_replica(search: Search, values: Options, seed: int, name: str, tags: Mapping[str, str]) -> int:
    """Trains together with the first process, and leaves all messages to it; the exit code."""
    with StopSignals() as signals:
        try:
            run = search.run(values, seed, name=name, tags=tags)
            observer = TrialObserver(search, None, None)
            run.fit_within(Surroundings(Console(quiet=True), signals, relaunch=(), observer=observer))
        except (Stopped, RunStopped, ProcessLost):
            return 1
    return 0
