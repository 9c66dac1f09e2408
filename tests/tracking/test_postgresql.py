"""A store in PostgreSQL, without a server between."""

import subprocess

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from tests import postgresql as postgresql_server

from reparam_suite.tracking import Store, TrackingError, TrackingSettings, outbox

pytestmark = pytest.mark.slow

PASSWORD = "s3cret/with@all"


def test_what_is_sent_again_is_stored_once_and_the_password_nowhere(postgresql, tmp_path, monkeypatch, caplog, capfd):
    uri = postgresql.create("runs", user="ada", password=PASSWORD)
    wrong = uri.replace("s3cret", "wr0ng")
    with pytest.raises(TrackingError, match='password authentication failed for user "ada"') as refused:
        Store.open(TrackingSettings(uri=wrong, root=tmp_path / "mlruns"))
    assert "wr0ng" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []

    monkeypatch.setattr(outbox, "_FIRST_PAUSE", 0.01)
    store = Store.open(TrackingSettings(uri=uri, root=tmp_path))
    run = store.start_run(name="run", parameters={"uri": uri}, tags={"uri": uri}, config_file=f"uri: {uri}\n")
    real, lost = MlflowClient.log_batch, []

    def log_batch(self, *arguments, **options):
        real(self, *arguments, **options)
        if len(lost) < 3:
            lost.append(arguments)
            raise MlflowException(f"connection to {uri} was reset")

    monkeypatch.setattr(MlflowClient, "log_batch", log_batch)
    values = [step / 3 for step in range(1500)] + [float("nan"), float("inf"), 5e-324]
    for step, value in enumerate(values):
        run.log_metrics({"a": value}, step=step)
    run.set_tags({"again": uri})
    run.close("FINISHED")
    assert len(lost) == 3
    assert [step for step, _ in store.history(run.run_id, "a")] == list(range(len(values)))
    assert [value for _, value in store.history(run.run_id, "a")][:1500] == values[:1500]

    dump = [str(postgresql_server.programs() / "pg_dump"), f"--host={postgresql.sockets}", f"--port={postgresql.port}"]
    recorded = subprocess.run([*dump, "--username=postgres", "runs"], capture_output=True, text=True, check=True).stdout
    assert "postgresql+psycopg://***@127.0.0.1" in recorded
    files = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    for text in (recorded, files, caplog.text, *capfd.readouterr()):
        assert "s3cret" not in text
