"""One trial: its runs trained one after the other, and its values reported to the study."""

import gc
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, final

from optuna.exceptions import TrialPruned, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState
from rich.console import Console

from reparam_suite.running import RunStopped, Surroundings
from reparam_suite.studies.queue import ERROR, RUNS, Claim
from reparam_suite.studies.replica import train_replica
from reparam_suite.studies.reports import TrialObserver, record_failure, told
from reparam_suite.studies.search import Search
from reparam_suite.studies.space import Options
from reparam_suite.studies.storage import put_back, when_it_answers
from reparam_suite.studies.values import mean_of
from reparam_suite.tracking import Store
from reparam_suite.training import Stopped, StopSignals
from reparam_suite.workers.replica import relaunch_command


@final
@dataclass(frozen=True)
class TrialRunner:
    """Runs trials in this process.

    Args:
        search: of the trials.
        signals: which end a run between two steps.
    """

    search: Search
    signals: StopSignals

    def run(self, claim: Claim) -> None:
        """Runs a claimed trial and reports its end to the study. An error of a trial is the trial's alone.

        Raises:
            Stopped: if a signal ended it; it waits to be claimed again then.
        """
        trial = claim.trial
        try:
            values = self._values(claim, when_it_answers(lambda: self.search.space.suggest(trial)))
        except TrialPruned as error:
            _tell(trial, TrialState.PRUNED, reason=str(error))
        except (Stopped, RunStopped):
            _tell(trial, TrialState.FAIL)
            when_it_answers(lambda: put_back(trial.study, _frozen(trial)))
            self.signals.stop()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever one breaks, the next one may work
            _tell(trial, TrialState.FAIL, reason=told(error))
        else:
            _tell(trial, TrialState.COMPLETE, values)
        finally:
            gc.collect()  # a trainer and its model refer to each other

    def _values(self, claim: Claim, chosen: Options) -> list[float]:
        runs: list[Any] = []
        when_it_answers(lambda: claim.trial.set_user_attr(RUNS, []))  # an attempt before may have left some
        for seed in self.search.seeds_of(claim.number):
            runs.append(self._metrics(claim, chosen, seed, first=not runs))
        trial = claim.trial
        for metric, limit in self.search.constraints.items():
            violations = limit.violations(mean_of(runs, metric))
            when_it_answers(partial(_constrain, trial, metric, violations))
        return [mean_of(runs, metric) for metric in self.search.objectives]

    def _metrics(self, claim: Claim, chosen: Options, seed: int, *, first: bool) -> Any:
        # Of one run, trained.
        search, trial = self.search, claim.trial
        tags = {"study": search.name, "study.run": "trial", "trial.number": str(trial.number)}
        name = f"{search.name}-{trial.number}" + ("" if len(search.seeds_of(0)) == 1 else f"-seed-{seed}")
        observer = TrialObserver(search, trial.study, trial if first else None)
        try:
            run = search.run(chosen, seed, name=name, tags=tags)
            with relaunch_command(train_replica, search, chosen, seed, name, tags) as relaunch:
                shown = Console(quiet=True)
                result = run.fit_within(
                    Surroundings(
                        shown, self.signals, relaunch, of_command=search.tracking is not None, observer=observer
                    )
                )
        except (Exception, SystemExit) as error:
            if observer.run_id is None and search.tracking is not None:
                logger = Store.open(search.tracking).start_run(name=name, parameters=chosen, tags=tags)
                logger.close(record_failure(logger, error))
                observer.run_id = logger.run_id
            raise
        finally:
            if observer.run_id is not None:
                when_it_answers(partial(_add_run, trial, observer.run_id))
        assert result is not None
        return result.metrics


def _add_run(trial: Trial, run_id: str) -> None:
    trial.set_user_attr(RUNS, [*trial.user_attrs.get(RUNS, []), run_id])


def _constrain(trial: Trial, metric: str, violations: dict[str, float]) -> None:
    for end, violation in violations.items():
        if (name := f"{metric} {end}") not in trial.constraints:  # set once, and an attempt may have been cut off here
            trial.set_constraint(name, violation)


def _frozen(trial: Trial) -> FrozenTrial:
    return trial.study.get_trials(deepcopy=True)[trial.number]


def _tell(trial: Trial, state: TrialState, values: list[float] | None = None, *, reason: str | None = None) -> None:
    def tell() -> None:
        if reason is not None:
            trial.set_user_attr(ERROR, reason)
        trial.study.tell(trial, values, state, skip_if_finished=True)

    # A trial that seemed dead was given to another worker: that one's result counts.
    with suppress(UpdateFinishedTrialError):
        when_it_answers(tell)
