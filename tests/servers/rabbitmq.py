"""A RabbitMQ broker of the tests' own: node, ports, data and epmd apart from any other on the machine."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

START_S = 60.0
PROGRAMS = Path("/usr/lib/rabbitmq/bin")
"""Debian's own wrappers in /usr/sbin insist on the machine's one broker and its user."""


@dataclass
class Broker:
    """`folder` is empty for one that is not ours: then only `url` is to be had."""

    port: int
    folder: Path
    host: str = "127.0.0.1"
    credential: str = "guest:guest"
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return self.at()

    def at(self, vhost: str = "", *, credential: str = "", port: int = 0) -> str:
        return f"amqp://{credential or self.credential}@{self.host}:{port or self.port}/{vhost}"

    def start(self) -> "Broker":
        environment = self._environment()
        with (self.folder / "output.log").open("ab") as log:
            self.process = subprocess.Popen(
                [PROGRAMS / "rabbitmq-server"],
                env=environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_S
        while not _answers(self.host, self.port):
            assert self.process.poll() is None, (self.folder / "output.log").read_text()
            assert time.monotonic() < deadline, "the broker does not come up"
            time.sleep(0.05)
        return self

    def kill(self) -> None:
        """SIGKILL, as the machine does it; the data stays."""
        assert self.process is not None
        # The shell that started it would be killed alone.
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        while _answers(self.host, self.port):
            time.sleep(0.01)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.kill()
        subprocess.run(["epmd", "-port", str(self._epmd), "-kill"], capture_output=True, check=False)

    def forget(self) -> None:
        """All its data is lost; it must not run."""
        shutil.rmtree(self.folder / "data")
        (self.folder / "data").mkdir()

    def control(self, *arguments: str) -> str:
        """rabbitmqctl: what it printed. Skips where the broker is not ours."""
        if not self.folder.name:
            pytest.skip("needs a broker of the test's own")
        command = [str(PROGRAMS / "rabbitmqctl"), "-q", *arguments]
        ran = subprocess.run(command, env=self._environment(), capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    @property
    def _epmd(self) -> int:
        return int((self.folder / "epmd").read_text())

    def _environment(self) -> dict[str, str]:
        args = "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}"
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "ERL_EPMD_PORT": str(self._epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_DIST_PORT": (self.folder / "dist").read_text(),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "logs"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": args,
        }


@contextmanager
def rabbitmq() -> Iterator[Broker]:
    """The broker of TEST_QUEUE_URL, else one started from Debian's package, else a skip (CI: a failure)."""
    given = os.environ.get("TEST_QUEUE_URL")
    if given:
        credential, _, place = given.removeprefix("amqp://").rpartition("@")
        host, _, port = place.partition("/")[0].partition(":")
        yield Broker(int(port or 5672), Path(), host=host, credential=credential)
    elif (PROGRAMS / "rabbitmq-server").exists():
        with own_rabbitmq() as broker:
            yield broker
    else:
        missing = "no RabbitMQ: set TEST_QUEUE_URL, or install rabbitmq-server"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)


@contextmanager
def own_rabbitmq(host: str = "127.0.0.1") -> Iterator[Broker]:
    """One that may be killed: from the local package only. On another `host` than loopback it trusts who can
    reach that address."""
    if not (PROGRAMS / "rabbitmq-server").exists():
        missing = "no RabbitMQ on this machine to kill: install rabbitmq-server"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    with tempfile.TemporaryDirectory(prefix="rabbitmq-") as name:
        folder = Path(name)
        port, dist, epmd = _free_ports(3)
        (folder / "data").mkdir()
        (folder / "dist").write_text(str(dist))
        (folder / "epmd").write_text(str(epmd))
        (folder / "plugins").write_text("[].")
        (folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = {host}:{port}\nloopback_users = none\nlog.file.level = warning\n"
        )
        broker = Broker(port, folder, host=host)
        try:
            yield broker.start()
        finally:
            broker.stop()


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True
