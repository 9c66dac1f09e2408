"""The command that opens MLflow's page: what it refuses, and the address that it opens."""

import contextlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mlflow import MlflowClient
from tests.launching import as_it_was

from reparam_suite import ui
from reparam_suite.tracking import Store, TrackingSettings
from reparam_suite.tracking.page_server import Served


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("ui") / "mlruns"
    with as_it_was():
        assert Store.open(TrackingSettings(root=root)).experiment_id
    return root


@pytest.fixture
def opened(monkeypatch):
    """The command, with what it prints and the addresses that it opens; nothing is served."""
    addresses: list[str] = []
    monkeypatch.setattr(ui.webbrowser, "open", addresses.append)
    monkeypatch.setattr(ui.signal, "signal", lambda *_: None)

    def stop() -> None:
        raise KeyboardInterrupt

    served = Served("http://runs.localhost:4000", stop)
    monkeypatch.setattr(ui, "page_server", lambda *_: contextlib.nullcontext(served))

    def opened(*args: str) -> list[str]:
        with as_it_was():
            assert ui.main(list(args)) == 0
        return addresses

    return opened


def test_no_empty_experiment_stands_before_the_suites(root):
    assert [experiment.name for experiment in MlflowClient(f"sqlite:///{root}/mlflow.db").search_experiments()] == [
        "reparam_suite"
    ]


def test_it_prints_one_link_and_opens_it(opened, root, capsys):
    (address,) = opened("--tracking.root", str(root))
    assert address.startswith("http://runs.localhost:4000/#/experiments/1/runs?")
    assert "compareRunsMode=CHART&viewStateShareKey=curves" in address
    assert capsys.readouterr().out == f"{address}\n"


def test_another_view_is_opened_and_the_browser_left_alone(opened, root, capsys):
    assert opened("--tracking.root", str(root), "--view", "table", "--open", "false") == []
    assert "compareRunsMode=TABLE&viewStateShareKey=table" in capsys.readouterr().out


def test_outside_of_the_main_thread_it_serves_without_signal_handlers(root, capsys, monkeypatch):
    def stop() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(
        ui, "page_server", lambda *_: contextlib.nullcontext(Served("http://runs.localhost:4000", stop))
    )
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(ui.main, ["--tracking.root", str(root), "--open", "false"]).result() == 0
    assert capsys.readouterr().out.startswith("http://runs.localhost:4000/")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("--view chart", "--view: expected curves, table, options, others, got chart"),
        ("--port 70000", "--port: expected 1 to 65535, got 70000"),
        ("--tracking.experiment none", "--tracking.experiment: expected one of reparam_suite, got none"),
        (
            "--tracking.root ROOT/none",
            "--tracking.root: expected a directory with runs on record, got none in ROOT/none",
        ),
    ],
)
def test_what_it_refuses(args, message, root, capsys, monkeypatch):
    monkeypatch.setattr(ui.signal, "signal", lambda *_: None)
    given = args.replace("ROOT", str(root)).split()
    with as_it_was():
        assert ui.main(["--tracking.root", str(root), *given]) == 2
    assert capsys.readouterr().err == f"reparam_suite.ui: {message.replace('ROOT', str(root))}\n"
    assert not (root / "none").exists()
