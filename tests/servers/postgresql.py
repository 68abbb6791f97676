"""A PostgreSQL server of the tests' own: data, port and socket apart from any other on the machine."""

import asyncio
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import psutil
import pytest

START_S = 30.0
MISSING = "no PostgreSQL: set TEST_DATABASE_URL, or install postgresql"
IMAGE = "postgres:17-alpine"
names = itertools.count()


@dataclass
class Server:
    """`url` is of its administrator, `folder` empty for one that is not ours to kill."""

    url: str
    folder: Path = Path()
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    def at(self, database: str) -> str:
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{database}"))

    def start(self) -> "Server":
        self.launch()
        deadline = time.monotonic() + START_S
        while not self._answers():
            assert self.process and self.process.poll() is None, (self.folder / "output.log").read_text()
            assert time.monotonic() < deadline, "PostgreSQL does not come up"
            time.sleep(0.02)
        return self

    def launch(self) -> None:
        """`start` without waiting until it answers."""
        place = [f"-k{self.folder}", f"-p{urlsplit(self.url).port}", "-c", f"listen_addresses={self.host}"]
        with (self.folder / "output.log").open("ab") as log:
            self.process = subprocess.Popen(
                [_program("postgres"), "-D", self.folder / "data", *place, *self.options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=_user(),
                cwd=self.folder,
            )

    def kill(self) -> None:
        """SIGKILL of the server with all that serves a connection, as the machine does it; the data stays."""
        assert self.process is not None
        started = psutil.Process(self.process.pid)
        everybody = [started, *started.children(recursive=True)]
        for one in everybody:
            one.kill()
        self.process.wait()
        psutil.wait_procs(everybody, timeout=5)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(2)  # its "fast" stop: connections are ended
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.kill()

    def _answers(self) -> bool:
        ready = [_program("pg_isready"), "-q", f"-h{self.host}", f"-p{urlsplit(self.url).port}"]
        return subprocess.run(ready, check=False).returncode == 0


@contextmanager
def postgresql() -> Iterator[Server]:
    """The server of TEST_DATABASE_URL, else one started from the local package, else a container, else a skip
    (CI: a failure). It may forget: it does not wait for the disk."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield Server(given)
    elif _program("postgres"):
        with own_postgresql("-cfsync=off", "-cfull_page_writes=off") as server:
            yield server
    elif _engine():
        with _container() as server:
            yield server
    else:
        _skip()


@contextmanager
def own_postgresql(*options: str, host: str = "127.0.0.1") -> Iterator[Server]:
    """One that may be killed: from the local package only. On another `host` than loopback it trusts that
    address's network."""
    if not _program("postgres"):
        _skip()
    with tempfile.TemporaryDirectory(prefix="postgresql-") as name:
        folder = Path(name)
        if user := _user():
            shutil.chown(folder, user)
        initdb = [_program("initdb"), "-D", str(folder / "data"), "-A", "trust", "-U", "tests", "-N"]
        locale = ["-E", "UTF8", "--locale=C.UTF-8"]
        subprocess.run([*initdb, *locale], check=True, stdout=subprocess.DEVNULL, user=user, cwd=folder)
        with (folder / "data" / "pg_hba.conf").open("a") as trusted:
            trusted.write(f"host all all {host}/24 trust\n")
        server = Server(f"postgresql://tests@{host}:{_free_port()}/postgres", folder, options)
        try:
            yield server.start()
        finally:
            server.stop()


@contextmanager
def database(server: Server) -> Iterator[str]:
    """The URL of an empty database of the caller's own, dropped after use. Not for inside an event loop."""
    name = f"test_{os.getpid()}_{next(names)}"
    asyncio.run(execute(server.url, f"CREATE DATABASE {name}"))
    try:
        yield server.at(name)
    finally:
        asyncio.run(execute(server.url, f"DROP DATABASE {name} WITH (FORCE)"))


async def execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        await connection.execute(statement)
    finally:
        await connection.close(timeout=5)


@contextmanager
def _container() -> Iterator[Server]:
    from testcontainers.postgres import PostgresContainer

    with PostgresContainer(IMAGE, driver=None) as running:
        yield Server(running.get_connection_url())


def _engine() -> bool:
    return "DOCKER_HOST" in os.environ or Path("/var/run/docker.sock").exists()


def _skip() -> None:
    if os.environ.get("CI"):
        pytest.fail(MISSING)
    pytest.skip(MISSING)


def _program(name: str) -> str:
    """From the PATH or, newest first, where Debian puts it; empty if there is none."""
    debian = Path("/usr/lib/postgresql")
    installed = sorted(debian.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]), reverse=True)
    return shutil.which(name) or str(next(iter(installed), ""))


def _user() -> str | None:
    """PostgreSQL refuses to run as root; its package brings a user for it."""
    return "postgres" if os.geteuid() == 0 else None


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port
