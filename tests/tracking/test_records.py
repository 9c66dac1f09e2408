"""Records of a run: as lines of a spool, and as the calls that deliver them."""

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from reparam_suite.tracking.records import (
    Artifact,
    Dataset,
    Destination,
    End,
    Parameters,
    Point,
    Rejected,
    Tags,
    Undelivered,
    flattened,
    from_line,
    send,
    to_line,
)


class Client:
    """MLflow's client, as far as it notes what it is given.

    Args:
        error: that every delivery ends with.
        away: whether the store does not answer at all.
    """

    def __init__(self, error: Exception | None = None, *, away: bool = False) -> None:
        self.batches: list[tuple[int, int, int]] = []
        self.ended: list[tuple[str, str, int]] = []
        self._error, self._away = error, away

    def log_batch(self, run_id, metrics=(), params=(), tags=(), *, synchronous):
        if self._error is not None:
            raise self._error
        self.batches.append((len(metrics), len(params), len(tags)))

    def log_artifact(self, run_id, local, directory):
        raise self._error

    def list_artifacts(self, run_id, directory):
        return [SimpleNamespace(path="figures/arrived.png")]

    def set_terminated(self, run_id, status, time):
        self.ended.append((run_id, status, time))

    def get_run(self, run_id):
        if self._away:
            raise OSError("no answer")


def destination(client: Client, staging: Path, uri: str = "http://server/artifacts") -> Destination:
    return Destination(client=client, run_id="1", experiment_id="0", artifact_uri=uri, staging=staging)


@pytest.mark.parametrize(
    "line", [b"{", b'"text"', b"[1, 2]", b'{"kind": "Nothing"}', b'{"kind": "Tags", "other": 1}', b"3"]
)
def test_a_line_that_is_no_entry_is_refused(line):
    with pytest.raises(ValueError):  # noqa: PT011 - some are the parser's own
        from_line(line)


def test_lines_are_what_other_processes_read():
    entries = [Point("a", -math.inf, 5, 2), Tags({"ä": "b"}), End("KILLED", 17)]
    lines = [to_line(entry) for entry in entries]
    assert lines[0] == b'["a", -Infinity, 5, 2]\n'
    assert [from_line(line) for line in lines] == entries
    assert all(line.count(b"\n") == 1 for line in lines)


def test_points_go_together_and_parameters_and_tags_by_the_hundred(tmp_path):
    client = Client()
    send(destination(client, tmp_path), [Point("a", 1.0, 0, step) for step in range(1_000)])
    send(destination(client, tmp_path), [Parameters({f"p{n}": "x" for n in range(250)})])
    send(destination(client, tmp_path), [Tags({f"t{n}": "x" for n in range(101)}), End("FAILED", 17)])
    parameters, tags = [(0, 100, 0), (0, 100, 0), (0, 50, 0)], [(0, 0, 100), (0, 0, 1)]
    assert client.batches == [(1_000, 0, 0), *parameters, *tags]
    assert client.ended == [("1", "FAILED", 17)]


def test_what_the_store_does_not_want_is_told_from_what_it_could_not_take(tmp_path):
    unwanted = Client(MlflowException("no such name", error_code=INVALID_PARAMETER_VALUE))
    with pytest.raises(Rejected, match="no such name"):
        send(destination(unwanted, tmp_path), [Tags({"a": "b"})])
    broken = Client(ConnectionError("reset"))
    with pytest.raises(ConnectionError):
        send(destination(broken, tmp_path), [Tags({"a": "b"})])


def test_a_file_that_cannot_be_delivered_is_no_sign_that_the_store_is_away(tmp_path):
    (tmp_path / "a.png").touch()
    record = Artifact("a.png", "figures")
    with pytest.raises(Undelivered, match="denied"):
        send(destination(Client(OSError("denied")), tmp_path), [record])
    with pytest.raises(OSError, match="no answer"):
        send(destination(Client(OSError("denied"), away=True), tmp_path), [record])


def test_a_file_becomes_an_artifact_once(tmp_path):
    staging, artifacts = tmp_path / "spool", tmp_path / "artifacts"
    (staging / "0").mkdir(parents=True)
    (staging / "0" / "arrived.png").write_bytes(b"png")
    to, record = destination(Client(), staging, artifacts.as_uri()), Artifact("0/arrived.png", "figures")
    record.send(to)
    assert (artifacts / "figures" / "arrived.png").read_bytes() == b"png"
    assert not (staging / "0").exists()
    record.send(to)  # its answer was lost
    with pytest.raises(Rejected, match=r"lost\.png, to be recorded as an artifact, is gone"):
        Artifact("1/lost.png", "figures").send(to)


def test_nested_options_are_flattened():
    nested = {"a": {"b": 1, "c": {"d": [2]}}, "e": {}, "f": None}
    assert flattened(nested) == {"a.b": 1, "a.c.d": [2], "e": {}, "f": None}


@pytest.mark.parametrize(
    ("errors", "times"),
    [
        pytest.param([], 1, id="at once"),
        pytest.param(["(sqlite3.IntegrityError) UNIQUE constraint failed: datasets.name"], 2, id="sqlite"),
        pytest.param(["(psycopg2.errors.UniqueViolation) duplicate key value"], 2, id="postgresql"),
    ],
)
def test_a_dataset_that_another_run_adds_at_the_same_time_is_recorded(tmp_path, errors, times):
    client = Inputs(errors)
    send(destination(client, tmp_path), [Dataset("Digits", "0123", "here", {"train": 10}, "training")])
    assert client.times == times


@pytest.mark.parametrize("errors", [["no answer"], 2 * ["(sqlite3.IntegrityError) UNIQUE constraint failed"]])
def test_a_dataset_that_the_store_does_not_take_is_an_error(tmp_path, errors):
    with pytest.raises(MlflowException):
        send(destination(Inputs(errors), tmp_path), [Dataset("Digits", "0123", "here", {"train": 10}, "training")])


class Inputs:
    """MLflow's client that refuses datasets with these errors, one after the other, and then takes them."""

    def __init__(self, errors):
        self.times, self._errors = 0, [*errors]

    def log_inputs(self, run_id, datasets):
        self.times += 1
        if self._errors:
            raise MlflowException(self._errors.pop(0))
