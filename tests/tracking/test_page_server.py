"""MLflow's page on this machine: its address, and why it did not start. tests/test_mlflow_pages.py opens it."""

import socket

import pytest

from reparam_suite.tracking import TrackingError
from reparam_suite.tracking.page_server import free_port, host_name, page_server


@pytest.mark.parametrize(("platform", "name"), [("linux", "runs.localhost"), ("darwin", "127.0.0.1")])
def test_the_name_of_this_machine_is_one_that_browsers_know(platform, name, monkeypatch):
    monkeypatch.setattr("sys.platform", platform)
    assert host_name() == name


def test_a_free_port_can_be_listened_on():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", free_port()))


@pytest.mark.slow
def test_a_server_that_does_not_start_says_why(tmp_path):
    with (
        pytest.raises(TrackingError, match=r"^MLflow's server on port 4711 did not start: .*nonsense"),
        page_server("nonsense:///runs", tmp_path, port=4711),
    ):
        pass
