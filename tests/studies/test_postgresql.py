"""A study in PostgreSQL, which workers on many machines share."""

import time

import optuna
import pytest
from tests.launching import study
from tests.studies.halting import Gate
from tests.studies.launched import SPACE, Launched, runs
from tests.studies.small import study_file

pytestmark = pytest.mark.slow

HEARTBEAT = 3  # seconds: each worker misses at least one


@pytest.fixture(scope="module")
def url(postgresql):
    return postgresql.create("studies", user="grace", password="s3cret/x")


def trials_of(url):
    storage = optuna.storages.RDBStorage(url)
    trials = optuna.load_study(study_name="small", storage=storage).trials
    storage.remove_session()
    storage.engine.dispose()
    return trials


def test_a_study_is_kept_there_and_continues_there(url, tmp_path):
    file = study_file(tmp_path, space=SPACE, trials=2)
    plain = url.replace("postgresql+psycopg://", "postgresql://")
    for num_trials in (2, 3):
        arguments = ("--config", file, "--storage", plain, "--trials", str(num_trials))
        ended = study(*arguments, root=tmp_path / "mlruns")
        assert ended.code == 0, ended.err
        assert "s3cret" not in ended.out + ended.err
    assert [trial.state.name for trial in trials_of(url)] == ["COMPLETE"] * 3
    assert not (tmp_path / "mlruns" / "optuna.db").exists()


def test_wrong_credentials_are_reported_in_one_line_without_the_password(url, tmp_path):
    wrong = url.replace("s3cret%2Fx", "wr0ng")
    ended = study("--config", study_file(tmp_path, space=SPACE), "--storage", wrong, root=tmp_path / "mlruns")
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert "password authentication failed" in ended.err
    assert "wr0ng" not in ended.err
    assert not (tmp_path / "mlruns").exists()


def test_while_the_database_is_away_workers_wait_and_then_go_on(postgresql, tmp_path):
    """Two trials end meanwhile, and one is left."""
    url = postgresql.create("away", user="grace", password="s3cret/x")
    root, gate = tmp_path / "mlruns", Gate(tmp_path / "gate")
    file = study_file(tmp_path, space=SPACE, callbacks=gate.callbacks)
    with Launched(file, root, "--heartbeat", str(HEARTBEAT), "--workers", "2", "--storage", url) as launched:
        launched.until_wait(gate, 2)
        with postgresql.away():
            gate.open()
            launched.until(lambda: [run.info.status for run in runs(root)] == ["FINISHED"] * 2)
            time.sleep(HEARTBEAT)
            assert launched.lives()
        code, _, err = launched.ended()
    assert code == 0, err
    assert [trial.state.name for trial in trials_of(url)] == ["COMPLETE"] * 3
    assert [run.info.status for run in runs(root)] == ["FINISHED"] * 3
