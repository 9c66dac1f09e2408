"""A run: a model and its data, how they are trained, and where that is recorded."""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import count
from typing import Any, cast, final

from reparam_suite.running.fitting import fit
from reparam_suite.running.result import Result
from reparam_suite.running.resuming import resumed_arguments
from reparam_suite.running.specification import Specification
from reparam_suite.running.surroundings import Surroundings, library_call
from reparam_suite.runtime.global_state import unchanged_globals
from reparam_suite.training import started_by_another

_runs = count()  # of this program so far


@final
@dataclass(frozen=True, eq=False)
class Run(Specification):
    """A model trained on data with the estimator that it holds, tested and recorded in MLflow.

    Args:
        model: a module, which is trained in place, or a callable without arguments that makes one: then its weights
            depend on `seed`. A LightningModule with `expectation(batch)` and `estimator`, as every model of the suite
            and every subclass of EstimatorModule.
        data: a data module of `reparam_suite.data` or any LightningDataModule.
        seed: of the weights, the noise and the order of the data.
        max_steps: optimizer steps, at most; neither limit given: 5,000.
        max_epochs: passes over the training data, at most.
        name: of the run; by default estimator, model, data and seed.
        tags: to find runs by.
        monitor: the metric whose largest value is best, "-val/loss" for the smallest; by default what the model
            proposes. The best weights are tested; the last ones where there is no monitor.
        compile: whether each training step is one compiled function; see `training.CompiledStep`.
        progress: whether the run is shown.
        trainer: further options of Lightning's Trainer; its callbacks are added to the run's own.
        loggers: beside MLflow: `tracking.TensorBoard()`, `tracking.WeightsAndBiases()`, or any of Lightning's. Each
            gets every number of the run.
        record: what is measured.
        checkpoint: when checkpoints are written.
        tracking: where the run is recorded.

    Raises:
        ValueError: if a value is out of range.
        TypeError: if model or data are neither of what is accepted.
    """

    def fit(self) -> Result:
        """Trains, tests where model and data have a test, and records; the record is complete whatever happens.

        Generators, global flags, log levels and signal handlers are afterwards as they were before.

        On several devices the program is started again for each further process, which ends where the run does; so the
        run has to be the first of the program. Of processes that torchrun or SLURM has started, the first one gets a
        result and the others None.

        Raises:
            ValueError: if parts do not fit, before anything is recorded.
            RuntimeError: if the run cannot be recorded, or training diverged.
            KeyboardInterrupt: after Ctrl-C; the run can be resumed.
        """
        with library_call(progress=self.progress, first=next(_runs) == 0) as surroundings:
            result = self.fit_within(surroundings)
        if result is None and started_by_another():
            raise SystemExit(0)
        return cast("Result", result)

    def fit_within(self, surroundings: Surroundings) -> Result | None:
        """The same, shown and stopped as `surroundings` say; None in all but the first of several processes."""
        with unchanged_globals():
            return fit(self, surroundings)

    @classmethod
    def resume(cls, run_id: str, *, allow: Collection[str] = (), **changes: Any) -> "Run":
        """A run that was stopped, or that shall train for longer.

        Args:
            run_id: of the run.
            allow: names of modules whose classes may be made from the record; the suite's own are always allowed.
            changes: arguments of `Run` that differ from those on record; `model` and `data` where they are not on
                record.

        Raises:
            ValueError: if there is no such run, it is not on record whole, or it was of another architecture.
            RuntimeError: if its store does not answer, or it is running.
        """
        return cls(**resumed_arguments(run_id, allow=allow, changes=changes))
