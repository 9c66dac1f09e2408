"""A study from Python: Optuna searches the arguments of a function that makes a run."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, final, get_args
from uuid import uuid4

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler

from reparam_suite.running.surroundings import library_call
from reparam_suite.runtime import checks
from reparam_suite.runtime.errors import ArgumentValueError
from reparam_suite.studies.distributions import ArgumentSpace
from reparam_suite.studies.exhaustive import as_sampler
from reparam_suite.studies.identity import identity
from reparam_suite.studies.queue import Queue
from reparam_suite.studies.rehearsal import check_trials
from reparam_suite.studies.result import StudyResult, result_of
from reparam_suite.studies.search import Direction, Search, StudyStorage, running_metric
from reparam_suite.studies.storage import url_of, when_it_answers
from reparam_suite.studies.workers import StudyWork, joined, work
from reparam_suite.tracking import LONGEST_NAME, TrackingSettings
from reparam_suite.training import StopSignals
from reparam_suite.workers import LocalProcesses, MakeRun, check_main_guard, obstacle

if TYPE_CHECKING:
    from optuna.pruners import BasePruner

_log = logging.getLogger(__name__)


@final
class Study:
    """Searches the arguments of a function that makes a run.

    The same study is resumed by its name: a second `run` trains what is missing.

    Args:
        make_run: makes the run of a trial; it is called with the searched values and `seed`, by name.
        space: the distribution of Optuna for each searched argument.
        objective: metric of a run; its last value counts.
        direction: maximize or minimize.
        num_trials: that the study ends with. A trial that raises an error or gives no finite value has failed, and
            counts.
        seed: trial k trains with `seed + k`; the values of trials are drawn with seeds made from both.
        name: of the study.
        workers: processes that train at once, with one CPU thread each; 1: this process trains.
        storage: URL of the study's database, sqlite:///FILE, postgresql://... or mysql://...; by default optuna.db in
            mlruns of the working directory.
        sampler: of Optuna; TPE by default. GridSampler and BruteForceSampler go through all combinations, of which
            there are at least as many as trials.
        pruner: of Optuna; by default no trial is pruned. It sees val/elbo where the objective is val/elbo_best.

    Raises:
        ValueError: if a value is out of range, or a pruner is given and the objective has no value along training.
        TypeError: if `make_run` does not take the arguments, the space is of other things than distributions, or a
            number is no integer.
    """

    def __init__(
        self,
        make_run: MakeRun,
        *,
        space: Mapping[str, BaseDistribution],
        objective: str = "val/elbo_best",
        direction: Direction = "maximize",
        num_trials: int,
        seed: int = 0,
        name: str,
        workers: int = 1,
        storage: str | None = None,
        sampler: BaseSampler | None = None,
        pruner: "BasePruner | None" = None,
    ) -> None:
        arguments = ArgumentSpace(dict(space))
        arguments.check_accepted_by(make_run)
        checks.name("name", name, most=LONGEST_NAME)
        num_trials = checks.integer("num_trials", num_trials, least=1)
        seed = checks.seed("seed", seed)
        if direction not in get_args(Direction):
            raise ArgumentValueError(f"direction: expected maximize or minimize, got {direction}")
        if pruner is not None and running_metric(objective) is None:
            raise ArgumentValueError(
                f"pruner: expected an objective that has a value at each validation, got {objective}"
            )
        root = TrackingSettings().root
        self._storage = StudyStorage(url=url_of(storage, root), root=root)
        self._workers = checks.integer("workers", workers, least=1)
        self._arguments = tuple(space)
        self._metric = objective
        self._seed = seed
        self._search = Search(
            name=name,
            make_run=make_run,
            space=arguments,
            objectives={objective: direction},
            num_trials=num_trials,
            sampler=TPESampler(seed=seed) if sampler is None else as_sampler(sampler, arguments, num_trials),
            pruner=pruner,
            definition={
                "space": arguments.definition(),
                "objective": objective,
                "direction": direction,
                "make_run": identity(make_run),
            },
            seed=seed,
        )

    def run(self) -> StudyResult:
        """Trains until the study has its trials.

        Raises:
            ValueError: if the objective is no metric of the runs, or the storage has another study of this name.
            RuntimeError: if the database does not answer, or all workers have died.
            KeyboardInterrupt: after Ctrl-C; the trial in progress waits for the next call.
        """
        check_main_guard()
        call = uuid4().hex
        with library_call(progress=False) as surroundings:
            check_trials(self._search, self._storage)
            queue = joined(self._search, self._storage)
            try:
                queue.fill()
                if not queue.finished():
                    self._train(queue, surroundings.signals, call)
                return result_of(queue, arguments=self._arguments, metric=self._metric, seed=self._seed, call=call)
            finally:
                queue.close()

    def _train(self, queue: Queue, signals: StopSignals, call: str) -> None:
        if self._workers > 1:
            distributed = StudyWork(self._search, self._storage, call)
            if (why := obstacle(distributed)) is None:
                LocalProcesses(distributed, self._workers).run(
                    finished=lambda: when_it_answers(queue.finished),
                    signals=signals,
                    watch=lambda: None,
                    tell=lambda line: _log.warning("study %s: %s", self._search.name, line),
                )
                return
            _log.warning(
                "study %s: trials run in this process, one after the other: what makes them cannot be sent to "
                "another: %s",
                self._search.name,
                why,
            )
        work(self._search, queue, signals, call=call)
