"""Where runs are recorded, as settings, and the commands that name it."""

import shlex
from pathlib import Path

import pytest

from reparam_suite.tracking import TrackingError, TrackingSettings
from reparam_suite.tracking.settings import is_server


def test_an_error_is_one_line_without_a_password():
    assert (
        str(TrackingError("postgresql://ada:secret@db\n  does not   answer")) == "postgresql://***@db does not answer"
    )


def test_commands_name_what_differs_from_the_defaults_as_a_shell_takes_it():
    assert TrackingSettings().ui_command() == "python -m reparam_suite.ui"
    settings = TrackingSettings(uri="http://ada:secret@h", experiment="my runs", root=Path("a b/'c"))
    words = shlex.split(settings.resume_command("1234"))
    assert words[2:] == [
        *("reparam_suite.fit", "--resume", "1234", "--tracking.uri", "http://***@h"),
        *("--tracking.experiment", "my runs", "--tracking.root", "a b/'c"),
    ]
    assert shlex.split(settings.sync_command())[3:] == words[5:]
    assert settings.shown_uri == "http://***@h"


def test_a_store_in_a_file_may_be_missing_and_one_on_a_server_is_not_looked_for(tmp_path):
    settings = TrackingSettings(root=tmp_path)
    assert settings.missing_file() == tmp_path / "mlflow.db"
    (tmp_path / "mlflow.db").touch()
    assert settings.missing_file() is None
    assert TrackingSettings(uri="http://nowhere", root=tmp_path).missing_file() is None


@pytest.mark.parametrize(
    ("uri", "server"),
    [("HTTPS://h", True), ("http://h", True), ("postgresql://h", False), ("sqlite:///http://h", False)],
)
def test_a_server_is_told_by_the_scheme_of_its_uri(uri, server):
    assert is_server(uri) == server


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"experiment": " "}, "tracking.experiment: expected a printable name, got ' '"),
        ({"experiment": "a" * 251}, "tracking.experiment: expected"),
        (
            {"root": "a" * 256},
            "tracking.root: expected a path of at most 3,800 bytes whose names have at most 255, got aaa",
        ),
        (
            {"root": "é" * 128},
            "tracking.root: expected a path of at most 3,800 bytes whose names have at most 255, got é",
        ),
        ({"root": "a/" * 2_000}, "tracking.root: expected a path of at most 3,800 bytes"),
        ({"root": "a\0b"}, "tracking.root: expected a path of at most 3,800 bytes"),
    ],
)
def test_names_that_no_database_or_directory_takes_are_refused(options, message):
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the beginning of the message is compared
        TrackingSettings(**options)
    assert str(refused.value).startswith(message)


def test_without_a_uri_the_environment_counts_and_then_the_root(monkeypatch):
    assert TrackingSettings().resolved_uri() == "sqlite:///mlruns/mlflow.db"
    assert TrackingSettings(root=Path("/x")).resolved_uri() == "sqlite:////x/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server")
    assert TrackingSettings().resolved_uri() == "http://server"
    assert TrackingSettings(uri="sqlite:///a.db").resolved_uri() == "sqlite:///a.db"


def test_a_root_may_be_a_text_and_nothing_but_a_path():
    assert TrackingSettings(root="x").root == Path("x")
    with pytest.raises(TypeError, match=r"^tracking\.root: expected a path, got 3$"):
        TrackingSettings(root=3)
