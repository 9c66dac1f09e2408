"""A PostgreSQL cluster of a test's own."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql


def programs() -> Path | None:
    """The directory of the newest server programs; Debian keeps them off the PATH. None where there are none."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if installed:
        return installed[-1].parent
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


@dataclass(frozen=True)
class Cluster:
    """A running cluster: passwords are asked for on 127.0.0.1, the superuser enters by the socket without one."""

    port: int
    sockets: Path
    start: Callable[[], None]
    stop: Callable[[], None]

    @contextmanager
    def away(self) -> Iterator[None]:
        """Inside, it does not answer; all its connections were cut off."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def create(self, database: str, *, user: str, password: str) -> str:
        """Makes a role, unless it is there, and a database that it owns; returns the database's URL."""
        with psycopg.connect(host=str(self.sockets), port=self.port, user="postgres", autocommit=True) as connection:
            if not connection.execute("select from pg_roles where rolname = %s", [user]).fetchall():
                role = sql.SQL("create role {} login password {}")
                connection.execute(role.format(sql.Identifier(user), sql.Literal(password)))
            made = sql.SQL("create database {} owner {}")
            connection.execute(made.format(sql.Identifier(database), sql.Identifier(user)))
        return (
            f"postgresql+psycopg://{quote(user, safe='')}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"
        )


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A fresh cluster on a free port, stopped and removed at the end; needs `programs()`."""
    where = programs()
    assert where is not None
    # Not below pytest's directory, which the user that the server runs as may not enter.
    directory = Path(tempfile.mkdtemp(prefix="postgresql-"))
    as_user: list[str] = []
    if os.geteuid() == 0:  # which PostgreSQL refuses
        shutil.chown(directory, "postgres")
        as_user = ["runuser", "-u", "postgres", "--"]

    def run(program: str, *arguments: str) -> None:
        command = [*as_user, str(where / program), *arguments]
        # Into a file: the server that pg_ctl starts would keep a pipe open.
        with (directory.parent / f"{directory.name}.log").open("a+") as log:
            ended = subprocess.run(command, stdout=log, stderr=log, cwd="/", timeout=800, check=False)
            log.seek(0)
            assert ended.returncode == 0, log.read()

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = f"{directory}/data"
    settings = f"-c port={port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={directory} -c fsync=off"
    try:
        password = directory / "password"
        password.write_text("of the superuser\n")
        password.chmod(0o644)
        options = ["--username=postgres", f"--pwfile={password}", "--auth-local=trust", "--auth-host=scram-sha-256"]
        run("initdb", "--no-sync", *options, "--encoding=UTF8", "--locale=C", f"--pgdata={data}")
        logged = [f"--options={settings}", f"--log={directory}/server.log"]
        start = partial(run, "pg_ctl", "start", "--wait", f"--pgdata={data}", *logged)
        stop = partial(run, "pg_ctl", "stop", "--wait", "--mode=immediate", f"--pgdata={data}")
        start()
        try:
            yield Cluster(port, directory, start, stop)
        finally:
            stop()
    finally:
        shutil.rmtree(directory)
        (directory.parent / f"{directory.name}.log").unlink(missing_ok=True)
