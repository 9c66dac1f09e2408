"""The result of a run: its metrics, curves, model and figures."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

from lightning.pytorch import LightningModule

from reparam_suite.running.artifacts import figures_of
from reparam_suite.running.assembly import Assembly
from reparam_suite.tracking import RunLogger, Store
from reparam_suite.training import Journal

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


@final
@dataclass(frozen=True, eq=False)
class Result:
    """A run that has finished.

    Attributes:
        run_id: of the run in MLflow.
        name: of the run.
        seed: of the weights, the noise and the order of the data.
        num_steps: optimizer steps.
        metrics: the last value of every metric.
        model: with the best weights, or the last where there is no monitor; in eval mode, on the CPU.
        artifacts: where the files of the run are stored.
        ui_command: the command that opens MLflow's pages on the store of the run.
    """

    run_id: str
    name: str
    seed: int
    num_steps: int
    metrics: Mapping[str, float]
    model: Any
    artifacts: str
    ui_command: str
    _journal: Journal = field(repr=False)
    _data: Any = field(repr=False)

    def history(self, name: str) -> "DataFrame":
        """Steps and values of a metric, as columns `step` and `value`.

        Raises:
            KeyError: if the run has no such metric, with those that it has.
        """
        from pandas import DataFrame

        if name not in self.metrics:
            raise KeyError(f"history: expected one of {', '.join(sorted(self.metrics))}, got {name}")
        return DataFrame(sorted(self._journal.curves[name]), columns=["step", "value"])

    def figures(self) -> dict[str, "Figure"]:
        """Figures of the model and of its training, by name; drawn at each call."""
        return dict(self._drawn())

    def _drawn(self) -> "Iterator[tuple[str, Figure]]":
        assert isinstance(self.model, LightningModule)
        yield from figures_of(self.model, self._data, self._journal)


def result_of(parts: Assembly, store: Store, logger: RunLogger, journal: Journal, num_steps: int) -> Result:
    """The result of a run whose record is closed."""
    return Result(
        run_id=logger.run_id,
        name=logger.run_name,
        seed=parts.run.seed,
        num_steps=num_steps,
        metrics={name: curve[-1][1] for name, curve in journal.curves.items()},
        model=parts.model,
        artifacts=logger.artifact_uri,
        ui_command=store.ui_command,
        _journal=journal,
        _data=parts.data,
    )
