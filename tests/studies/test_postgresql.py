"""A study in PostgreSQL, which workers on many machines share."""

import optuna
import pytest
from tests.postgresql import cluster, programs
from tests.running import study
from tests.studies.small import study_file

pytestmark = [pytest.mark.slow, pytest.mark.skipif(programs() is None, reason="PostgreSQL is not installed")]

SPACE = {"model.learning_rate": {"log_float": [1e-3, 1e-1]}}


@pytest.fixture(scope="module")
def url():
    with cluster() as running:
        yield running.create("studies", user="ada", password="s3cret/x")


def test_a_study_is_kept_there_and_goes_on_there(url, tmp_path):
    file = study_file(tmp_path, space=SPACE, trials=2)
    plain = url.replace("postgresql+psycopg://", "postgresql://")
    for num_trials in (2, 3):
        arguments = ("--config", file, "--storage", plain, "--trials", str(num_trials))
        ended = study(*arguments, root=tmp_path / "mlruns")
        assert ended.code == 0, ended.err
        assert "s3cret" not in ended.out + ended.err
    storage = optuna.storages.RDBStorage(url)
    trials = optuna.load_study(study_name="small", storage=storage).trials
    storage.remove_session()
    storage.engine.dispose()
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 3
    assert not (tmp_path / "mlruns" / "optuna.db").exists()


def test_wrong_credentials_are_told_in_one_line_without_the_password(url, tmp_path):
    wrong = url.replace("s3cret%2Fx", "wr0ng")
    ended = study("--config", study_file(tmp_path, space=SPACE), "--storage", wrong, root=tmp_path / "mlruns")
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert "password authentication failed" in ended.err
    assert "wr0ng" not in ended.err
