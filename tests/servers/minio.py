"""MinIO for tests: one of its own on a free port with data in a temporary folder, killed and started at will.

Found in this order: `TEST_OBJECTS_URL` (somebody's running store, which no test may kill), a local binary,
a container engine; else the test is skipped, and fails with `CI=true`.
"""

import os
import secrets
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

VERSION = "v0.0.0-20260212201848-7aac2a2c5b7c"
CACHE = Path("~/.cache/oscar-gateway/bin").expanduser()
IMAGE = "minio/minio:RELEASE.2025-04-22T22-12-26Z"
START_S = 20.0


@dataclass
class Minio:
    """`url` stays the same over restarts. `webhook` is where its one target, `ARN`, posts events to."""

    ARN = "arn:minio:sqs::GW:webhook"

    url: str
    access_key: str = "tests"
    secret_key: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    binary: str = ""
    folder: Path = Path()
    webhook: str = ""
    token: str = field(default="", repr=False)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Minio":
        with (self.folder / "minio.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    self.binary,
                    "server",
                    "--quiet",
                    "--address",
                    self._address(),
                    str(self.folder / "data"),
                ],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_S
        while not answers(self.url):
            assert self.process.poll() is None, (self.folder / "minio.log").read_text()
            assert time.monotonic() < deadline, "MinIO does not answer"
            time.sleep(0.02)
        return self

    def kill(self) -> None:
        """SIGKILL, as a machine does it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def settings(self) -> dict[str, str]:
        """Those of a gateway that uses it."""
        return {
            "OBJECTS_URL": self.url,
            "S3_ACCESS_KEY": self.access_key,
            "S3_SECRET_KEY": self.secret_key,
            "S3_EVENTS_ARN": self.ARN if self.webhook else "",
            "EVENTS_TOKEN": self.token,
        }

    def _address(self) -> str:
        return self.url.removeprefix("http://")

    def _environment(self) -> dict[str, str]:
        """Events are on disk before an upload is answered, and wait there for the gateway."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "MINIO_ROOT_USER": self.access_key,
            "MINIO_ROOT_PASSWORD": self.secret_key,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
            "MINIO_API_SYNC_EVENTS": "on",
        }
        if not self.webhook:
            return environment
        target = {
            "ENABLE": "on",
            "ENDPOINT": self.webhook,
            "AUTH_TOKEN": self.token,
            "QUEUE_DIR": str(self.folder / "events"),
            "QUEUE_LIMIT": "100000",
        }
        return environment | {f"MINIO_NOTIFY_WEBHOOK_{name}_GW": value for name, value in target.items()}


@contextmanager
def minio(
    folder: Path, *, webhook: str = "", own: bool = False, host: str = "127.0.0.1", token: str = ""
) -> Iterator[Minio]:
    """A running one. With `own`, or a `webhook`, it is the test's alone, to be killed and started again."""
    given = os.environ.get("TEST_OBJECTS_URL")
    if given and not own and not webhook:
        keys = os.environ["TEST_OBJECTS_ACCESS_KEY"], os.environ["TEST_OBJECTS_SECRET_KEY"]
        yield Minio(given, *keys)
        return
    binary = shutil.which("minio") or str(CACHE / f"minio-{VERSION}")
    if Path(binary).is_file():
        server = Minio(f"http://{host}:{free_port()}", binary=binary, folder=folder, webhook=webhook)
        server.token = (token or secrets.token_urlsafe(12)) if webhook else ""
        try:
            yield server.start()
        finally:
            server.kill()
    elif own or webhook or not os.environ.get("DOCKER_HOST"):
        if os.environ.get("CI"):
            pytest.fail("no MinIO: neither TEST_OBJECTS_URL, nor a binary, nor a container engine")
        pytest.skip("no MinIO here")
    else:
        with _container() as server:
            yield server


@contextmanager
def _container() -> Iterator[Minio]:
    from testcontainers.minio import MinioContainer

    with MinioContainer(IMAGE) as container:
        config = container.get_config()
        yield Minio(f"http://{config['endpoint']}", config["access_key"], config["secret_key"])


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def answers(url: str) -> bool:
    """Whether it answers S3 requests, which without keys it refuses; its own health page is ready before."""
    try:
        with urllib.request.urlopen(url, timeout=1):
            return True
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code == 403
    except OSError:
        return False
