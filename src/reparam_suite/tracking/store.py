"""The runs of a tracking store: starting, resuming, recovering and reading them."""

import contextlib
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, final

from reparam_suite.runtime.file_locks import made_directories
from reparam_suite.tracking import opening, reading
from reparam_suite.tracking.environment import environment_tags
from reparam_suite.tracking.names import parameter_texts
from reparam_suite.tracking.process import Process
from reparam_suite.tracking.reading import RecordedRun
from reparam_suite.tracking.reasons import as_tracking_error
from reparam_suite.tracking.records import Destination, Parameters, Tags
from reparam_suite.tracking.recovery import Recovered, Recovery, deliver
from reparam_suite.tracking.redaction import redact
from reparam_suite.tracking.run_logger import RunLogger
from reparam_suite.tracking.settings import TrackingError, TrackingSettings
from reparam_suite.tracking.spool import Occupied, Spool

if TYPE_CHECKING:
    from mlflow.entities import Run


@final
class Store:
    """An open tracking store. Made by `Store.open`."""

    def __init__(self, opened: opening.Opened, settings: TrackingSettings) -> None:
        self._client = opened.client
        self._locations = opened.locations
        self._uri = settings.resolved_uri()
        self._settings = settings
        self._experiment_id = opened.experiment_id
        self.experiment = settings.experiment
        self.root = settings.root
        self._spools = settings.root.absolute() / "spool"  # the working directory may change

    @classmethod
    def open(cls, settings: TrackingSettings) -> "Store":
        """Checks that runs can be recorded and makes what is missing: schema and directories.

        Raises:
            TrackingError: see `opening.opened`.
        """
        return cls(opening.opened(settings), settings)

    @classmethod
    def begin(cls, settings: TrackingSettings, tell: Callable[[str], object]) -> "Store":
        """Opens it for a command: runs whose process is gone are ended first and reported, a line each.

        Raises:
            TrackingError: see `open` and `recover`.
        """
        store = cls.open(settings)
        for recovered in store.recover():
            if recovered.kind != "left alone":
                tell(f"earlier run {recovered.run_id}  {recovered.outcome}")
        return store

    @property
    def experiment_id(self) -> str:
        """MLflow's id of the experiment, which is made when it is first needed: a refused command leaves none.

        Raises:
            TrackingError: if it cannot be made.
        """
        if self._experiment_id is None:
            self._experiment_id = opening.created_experiment(self._client, self._settings)
        return self._experiment_id

    @property
    def _experiment_ids(self) -> list[str]:
        # Another process may have made the experiment since the store was opened.
        self._experiment_id = self._experiment_id or opening.existing_experiment(self._client, self.experiment)
        return [] if self._experiment_id is None else [self._experiment_id]

    @property
    def uri(self) -> str:
        """The store's URI, without password."""
        return redact(self._uri)

    @property
    def ui_command(self) -> str:
        """The command that opens MLflow's page on this store, to be run in this directory."""
        return self._settings.ui_command()

    def start_run(
        self,
        *,
        name: str,
        parameters: Mapping[str, object],
        tags: Mapping[str, str],
        config_file: str | None = None,
    ) -> RunLogger:
        """A new run.

        Args:
            name: of the run; see `run_name`.
            parameters: those that MLflow's page shows, nested or flat.
            tags: beside those of `environment_tags`.
            config_file: the text of a configuration file that reproduces the run; becomes the artifact config.yaml.

        Raises:
            TrackingError: if the store does not take it.
        """
        from mlflow.exceptions import MlflowException

        all_tags = environment_tags() | {key: redact(value) for key, value in tags.items()}
        with as_tracking_error(f"no run could be started in {self.uri}"):
            started = int(time.time() * 1000)
            self._check_spools()
            run = self._client.create_run(self.experiment_id, started, all_tags, name)
            try:
                Parameters(parameter_texts(parameters)).send(self._destination(run))
                run = self._located(self._client.get_run(run.info.run_id), new=True)
                logger = self._logger(run, self._spool(run.info.run_id))
            except BaseException:
                with contextlib.suppress(MlflowException):
                    self._client.delete_run(run.info.run_id)
                raise
        if config_file is not None:
            logger.log_text(config_file, "config.yaml")
        return logger

    def resume_run(self, run_id: str) -> RunLogger:
        """An existing run, RUNNING again and marked as this process's; what it had not sent is delivered first.

        Raises:
            TrackingError: if there is none, it is running, or the store does not take what is sent.
        """
        run = self.run(run_id)
        with as_tracking_error(f"run {run_id} could not be resumed in {self.uri}"):
            spool = self._spool(run_id)
            run = self._located(run, new=False)
            try:
                deliver(spool, self._destination(run))
                Tags(environment_tags()).send(self._destination(run))
                self._client.update_run(run_id, status="RUNNING")
                run = self._client.get_run(run_id)
                recorded = self._recorded_points(run)
            except BaseException:
                spool.close()
                raise
        return self._logger(run, spool, recorded)

    def recover(self, gone: Collection[str] = ()) -> Iterator[Recovered]:
        """Ends the runs whose process is gone, and delivers what they had not sent: see `Recovery`.

        One query if there is nothing to do.

        Args:
            gone: hosts that will not return, whose runs nobody else will recover.

        Raises:
            TrackingError: if the store does not answer.
        """
        with as_tracking_error(f"{self.uri} cannot be searched"):
            yield from Recovery(self._client, self._experiment_ids, self._spools, self._destination, gone).recover()

    def end_gone(self, run_id: str) -> None:
        """Ends a run of which the caller knows that its process is gone, on whatever host that was.

        Raises:
            TrackingError: if the store does not answer.
        """
        with as_tracking_error(f"{self.uri} cannot be searched"):
            Recovery(self._client, self._experiment_ids, self._spools, self._destination).end(run_id)

    def check_stopped(self, run_id: str) -> None:
        """Refuses a run that cannot be resumed.

        Raises:
            TrackingError: if there is none, it was deleted, or it is running.
        """
        run = self.run(run_id)
        if run.info.lifecycle_stage != "active":
            raise TrackingError(f"run {run_id} was deleted in MLflow; restore it first")
        if run.info.status == "RUNNING":
            process = Process.of(run.data.tags)
            if process is None or process.is_of_this_machine():
                raise TrackingError(f"run {run_id} is running{f' as process {process.pid}' if process else ''}")
            raise TrackingError(
                f"run {run_id} is RUNNING as process {process.pid} on {process.host}, which cannot be seen from here; "
                f"if that machine is gone, end it with {self._settings.sync_command()} --gone {process.host}"
            )

    def fetch_artifact(self, run_id: str, name: str, directory: Path) -> Path:
        """Copies an artifact of a run into a directory, and says where it is.

        Raises:
            TrackingError: if the run has none of this name.
        """
        with as_tracking_error(f"run {run_id} has no {name} on record"):
            directory.mkdir(parents=True, exist_ok=True)
            return Path(self._client.download_artifacts(run_id, name, str(directory)))

    def find_run(self, run_id: str) -> "Run | None":
        """The run as MLflow has it, or None if there is none."""
        with as_tracking_error(f"{self.uri} does not answer"):
            return reading.find_run(self._client, run_id)

    def run(self, run_id: str) -> "Run":
        """The run as MLflow has it.

        Raises:
            TrackingError: if there is none.
        """
        if (run := self.find_run(run_id)) is None:
            raise TrackingError(f"there is no run {run_id} in {self.uri}")
        return run

    def runs_named(self, name: str) -> "list[Run]":
        """The runs of the experiment that are called `name`, the newest first."""
        if "'" in name and '"' in name:  # MLflow's filters cannot say it
            return []
        quote = "'" if '"' in name else '"'
        if not self._experiment_ids:
            return []
        wanted, order = f"attributes.run_name = {quote}{name}{quote}", ["attributes.start_time DESC"]
        with as_tracking_error(f"runs could not be searched in {self.uri}"):
            return list(self._client.search_runs(self._experiment_ids, wanted, order_by=order))

    @classmethod
    def experiments(cls, settings: TrackingSettings) -> list[str]:
        """The names of the experiments of a store that is there; nothing is created.

        Raises:
            TrackingError: if it does not answer.
        """
        return opening.experiment_names(settings)

    def runs(self, wanted: str = "", *, finished: bool = False) -> list[RecordedRun]:
        """The runs of the experiment that are not deleted, the oldest first.

        Args:
            wanted: a condition in the language of MLflow's filters, for example "tags.seed = '1'".
            finished: whether those that are FINISHED are wanted alone.

        Raises:
            TrackingError: if MLflow does not accept the condition, or the store does not answer.
        """
        with as_tracking_error(f"runs could not be searched in {self.uri}"):
            return list(reading.recorded_runs(self._client, self._experiment_ids, wanted, finished=finished))

    def tagged_runs(self, tag: str, value: str) -> list[RecordedRun]:
        """All runs of the experiment with a value of a tag, the oldest first; the digests of their data are not read.

        Raises:
            TrackingError: if the store does not answer.
        """
        with as_tracking_error(f"runs could not be searched in {self.uri}"):
            return list(reading.tagged_runs(self._client, self._uri, self._experiment_ids, tag, value))

    def histories(self, run_ids: Sequence[str], key: str) -> dict[str, list[tuple[int, float]]]:
        """Steps and values of a metric for many runs at once; runs without it are left out."""
        with as_tracking_error(f"metric {key} of {len(run_ids)} runs could not be read from {self.uri}"):
            return reading.histories(self._client, self._uri, run_ids, key)

    def history(self, run_id: str, key: str) -> list[tuple[int, float]]:
        """All steps and values of a metric, by step."""
        with as_tracking_error(f"metric {key} of run {run_id} could not be read from {self.uri}"):
            points = self._client.get_metric_history(run_id, key)
        return [(point.step, point.value) for point in sorted(points, key=lambda p: (p.step, p.timestamp))]

    def _recorded_points(self, run: "Run") -> frozenset[tuple[str, int]]:
        run_id = run.info.run_id
        return frozenset((key, step) for key in run.data.metrics for step, _ in self.history(run_id, key))

    def _logger(self, run: "Run", spool: Spool, recorded: frozenset[tuple[str, int]] = frozenset()) -> RunLogger:
        return RunLogger(
            destination=self._destination(run),
            run=run,
            spool=spool,
            settings=self._settings,
            store=self.uri,
            recorded=recorded,
        )

    def _destination(self, run: "Run") -> Destination:
        info, staging = run.info, self._spools / run.info.run_id
        return Destination(self._client, info.run_id, info.experiment_id, info.artifact_uri, staging, self._locations)

    def _located(self, run: "Run", *, new: bool) -> "Run":
        return run if self._locations is None else self._locations.of_run(run, new=new)

    def _check_spools(self) -> None:
        # Before the run is made: one whose spool cannot be made would stay behind, deleted.
        with made_directories(self._spools), tempfile.TemporaryDirectory(dir=self._spools):
            pass

    def _spool(self, run_id: str) -> Spool:
        about = {"run_id": run_id, "store": self.uri, "experiment": self.experiment}
        try:
            return Spool(self._spools / run_id, about=about | Process.this().tags())
        except Occupied as error:
            raise TrackingError(f"run {run_id} is being recorded by another process") from error
