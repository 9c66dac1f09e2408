"""docs/operations.md works as it stands: its commands are executed, in order, with real servers."""

import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from mlflow import MlflowClient
from tests import postgresql as postgresql_server
from tests.tracking.servers import Server

from reparam_suite.tracking import Store, TrackingSettings, run_logger

PAGE = Path(__file__).parents[2] / "docs/operations.md"

pytestmark = pytest.mark.slow

# What `sudo -u postgres` is where the superuser enters by a socket.
SUDO = """#!/bin/sh
test "$1 $2" = "-u postgres" || exit 1
shift 2
PGUSER=postgres PGHOST={sockets} PGPORT={port} exec "$@"
"""


class Operator:
    """Executes commands of the page, with places and ports of the test."""

    def __init__(self, cluster: postgresql_server.Cluster, directory: Path, port: int) -> None:
        self.directory, self.port = directory, port
        self._places = {"/srv/mlflow": f"{directory}/srv", "5432": str(cluster.port), "5000": str(port)}
        programs = directory / "bin"
        programs.mkdir()
        for name, script in {
            "sudo": SUDO.format(sockets=cluster.sockets, port=cluster.port),
            "mlflow": f'#!/bin/sh\nexec "{sys.executable}" -m mlflow "$@"\n',
            "python": f'#!/bin/sh\nexec "{sys.executable}" "$@"\n',
        }.items():
            (programs / name).write_text(script)
            (programs / name).chmod(0o755)
        path = [str(programs), str(postgresql_server.programs()), os.environ["PATH"]]
        without = ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
        self._environment = {name: value for name, value in os.environ.items() if name not in without}
        self._environment |= {"HOME": str(directory), "PATH": os.pathsep.join(path)}

    def run(self, block: str) -> str:
        """Executes commands and returns what they print."""
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self._here(block)],
            cwd=self.directory,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=800,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout
        return ended.stdout

    def server(self, block: str) -> Server:
        """The server that the commands start, its log in server.log."""
        block = f"exec >> {self.directory}/server.log 2>&1\n{self._here(block)}"
        return Server(block, self.port, environment=self._environment, directory=self.directory)

    def read(self, name: str) -> str:
        return (self.directory / name).read_text().strip()

    def _here(self, block: str) -> str:
        for place, here in self._places.items():
            block = block.replace(place, here)
        return block


@pytest.fixture
def operator(postgresql, tmp_path, free_port, warm_python) -> Operator:
    pytest.importorskip("flask_wtf", reason="needs the extra `server`")
    return Operator(postgresql, tmp_path, free_port)


def answer(uri: str, **headers: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{uri}/", headers=headers), timeout=30) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def test_the_page_sets_up_a_server_records_runs_and_brings_them_back(operator, monkeypatch, caplog, capfd):
    database, tables, files, start, accounts, runs, backup, restore = re.findall(
        r"^```sh\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE
    )
    for block in (database, tables, files):
        operator.run(block)
    server = operator.server(start)
    try:
        server.start()
        operator.run(accounts)
        printed = operator.run(runs)
        (run_id,) = re.findall(r"^run +(\w{32})$", printed, re.MULTILINE)

        assert answer(server.uri) == 401
        assert answer(server.uri, Host="evil.example") == 403
        password = operator.read("srv/ada.password")
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)
        client = MlflowClient(server.uri)
        assert client.get_run(run_id).info.status == "FINISHED"
        assert "config.yaml" in [file.path for file in client.list_artifacts(run_id)]
        monkeypatch.delenv("MLFLOW_TRACKING_USERNAME")
        monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD")

        # The account in the URI, as everything that is recorded and said could tell it; the server dies meanwhile.
        uri = server.uri.replace("://", f"://ada:{password}@")
        store = Store.open(TrackingSettings(uri=uri, root=operator.directory / "mlruns"))
        config = {"tracking": {"uri": uri}}
        run = store.start_run(name="run", parameters=config, tags={"uri": uri}, config_file=f"uri: {uri}\n")
        run.log_dataset("Digits", "0", f"{uri}/data", {}, "training")
        assert run.flush(300)
        operator.run(backup)
        server.kill()
        run.log_metrics({"a": 1.0}, step=0)
        run.set_tags({"again": uri})
        monkeypatch.setattr(run_logger, "PATIENCE", 1.0)
        with pytest.warns(UserWarning, match="did not receive all") as warned:
            run.close("FINISHED")
        said = [printed, caplog.text, *capfd.readouterr(), *(str(warning.message) for warning in warned)]
        dump = "pg_dump --host 127.0.0.1 --port 5432 --username mlflow"
        said += [operator.run(f"{dump} {name}") for name in ("mlflow", "mlflow_auth")]
        kept = [operator.directory / name for name in ("mlruns", "srv/artifacts", "server.log")]
        written = [path for place in kept for path in (place, *place.rglob("*")) if path.is_file()]
        assert len(written) > 10
        secrets = [password, operator.read("srv/admin.password"), operator.read(".pgpass").rsplit(":", 1)[-1]]
        for secret in secrets:
            assert len(secret) > 20
            assert not [text for text in said if secret in text]
            assert not [path for path in written if secret.encode() in path.read_bytes()]

        shutil.rmtree(operator.directory / "srv/artifacts")
        operator.run(restore)
        server.start()
        store = Store.open(TrackingSettings(uri=uri, root=operator.directory / "mlruns"))
        assert [recovered.kind for recovered in store.recover()] == ["recovered"]
        assert password not in "".join(capfd.readouterr())
        assert store.history(run.run_id, "a") == [(0, 1.0)]
        assert store.run(run.run_id).info.status == "FINISHED"
        again = store.run(run_id)
        assert again.info.status == "FINISHED"
        assert len(again.data.metrics) > 5
        artifacts = operator.directory / "srv/artifacts" / again.info.experiment_id / run_id / "artifacts"
        assert "max_steps: 100" in (artifacts / "config.yaml").read_text()
    finally:
        server.kill()
