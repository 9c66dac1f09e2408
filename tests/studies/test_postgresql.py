"""A study in PostgreSQL, which workers on many machines share."""

import re
import time
from pathlib import Path

import optuna
import pytest
from tests.launching import study
from tests.studies.halting import Gate
from tests.studies.launched import SPACE, Launched, runs
from tests.studies.slurm import submitted
from tests.studies.small import study_file

pytestmark = pytest.mark.slow

HEARTBEAT = 3  # seconds: each worker misses at least one


@pytest.fixture(scope="module")
def url(postgresql):
    return postgresql.create("shared", user="grace", password="s3cret/x")


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


def script_of_the_page() -> str:
    """The script that docs/studies.md gives for SLURM."""
    page = Path(__file__).parents[2] / "docs" / "studies.md"
    (script,) = re.findall(
        r"^### SLURM\n\n```bash\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    return script


def test_the_slurm_script_of_the_page_trains_each_trial_once(postgresql, tmp_path, monkeypatch):
    """As it stands, with addresses in their places and fewer trials; srun is a stand-in that sets its variables."""
    monkeypatch.chdir(tmp_path)
    study_file(Path("conf/studies"), space=SPACE, budget={"steps": 2}, options={"record.test_data": 0})
    Path("conf/studies/study.yaml").rename("conf/studies/discrete.yaml")
    postgresql.create("studies", user="studies", password="s3cret")
    places = {"HOST:54333": f"127.0.0.1:{postgresql.port}", "http://MLFLOW": "sqlite:///mlruns/mlflow.db"}
    script = script_of_the_page()
    for placeholder, place in {**places, "--trials 30": "--trials 4"}.items():
        assert placeholder in script
        script = script.replace(placeholder, place)
    variables = {"SLURM_JOB_ID": "77", "SLURM_JOB_NAME": "study", "SLURM_NODELIST": "localhost", "SLURM_NTASKS": "3"}
    code, commands = submitted(script, tmp_path, {**variables, "PGPASSWORD": "s3cret"})
    assert code == 0, [command.life.told() for command in commands]
    assert [command.task for command in commands][:1] == ["0"]
    assert sorted(command.task for command in commands[1:]) == ["0", "1", "2"]
    assert not any("Traceback" in command.life.told() for command in commands)
    trials = trials_of(f"postgresql+psycopg://studies:s3cret@127.0.0.1:{postgresql.port}/studies")
    assert [trial.state.name for trial in trials[:4]] == ["COMPLETE"] * 4
    assert {trial.state.name for trial in trials[4:]} <= {"WAITING"}  # places that two made at once; none is trained
    assert [run.info.status for run in runs(tmp_path / "mlruns")] == ["FINISHED"] * 4
