"""The command of studies: each file under conf/studies is accepted, with every end of its space; refusals."""

from pathlib import Path

import pytest
from tests.launching import as_it_was, study
from tests.studies.small import refused

from reparam_suite.studies.command import command

STUDIES = sorted((Path(__file__).parents[2] / "conf" / "studies").glob("*.yaml"))


@pytest.mark.parametrize("file", STUDIES, ids=lambda path: path.stem)
def test_a_study_of_the_suite_is_accepted(file):
    with as_it_was():
        assert command(["--config", str(file)]).settings.name == file.stem


def test_short_options_are_what_all_trials_share():
    with as_it_was():
        settings = command(["--config", "pareto", "--max_steps", "7", "--batch_size", "20"]).settings
    assert settings.budget.steps == 7
    assert settings.options["data.batch_size"] == 20


def test_there_are_studies():
    assert {"digits", "discrete", "pareto"} <= {file.stem for file in STUDIES}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--workers", "0"], "--workers: expected at least 1, got 0"),
        (["--heartbeat", "0"], "--heartbeat: expected at least 1, got 0"),
        (
            ["--storage", "grpc://host:1"],
            "--storage: expected sqlite:///FILE, postgresql://... or mysql://..., got grpc://host:1",
        ),
        (["--wrokers", "2"], "unknown option --wrokers, did you mean --workers?"),
        (["--tracking.experiment", "x"], "tracking.experiment"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
        (["--learning_rate", "0.1"], "--learning_rate: expected one that all runs share, got one that is varied"),
        (["--max_steps", "0"], "--max_steps: expected an integer of at least 1, got 0"),
        (["--batch_size", "x"], "--batch_size: expected int, got x"),
        (["--epochs", "3"], "unknown option --epochs, did you mean --max_epochs?"),
    ],
)
def test_options_that_cannot_be_used_are_reported_in_one_line(tmp_path, args, message):
    assert message in refused(tmp_path, *args)


def test_without_a_study_file_it_says_what_is_missing(tmp_path):
    ended = study(root=tmp_path / "mlruns")
    assert ended.code == 2
    assert "--config is needed" in ended.err
