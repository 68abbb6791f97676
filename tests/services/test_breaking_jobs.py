"""A job on which the process that takes it up dies each time, by `kill -9`: it is set aside with a reason,
whichever queue it came from, and others go on."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.gateway_process import GatewayProcess, wait_for
from tests.servers.minio import Minio, minio
from tests.servers.postgresql import database, execute, postgresql
from tests.servers.rabbitmq import rabbitmq
from tests.servers.tripwire import Tripwire, tripwire_to

pytestmark = [pytest.mark.services, pytest.mark.timeout(180)]

LARGE = b"x" * (100 << 10)
"""Kept in the store: whoever launches the job fetches it from there."""
TIMES = 6
"""One launch and five that take over."""


@dataclass
class Worker:
    """`python -m workers`, started again by whoever killed it."""

    settings: Mapping[str, str]
    folder: Path
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(self.folder), "HTTP_PORT": "0"}
        with (self.folder / "worker.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "workers"], env={**environment, **self.settings}, stderr=log
            )

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Minio]:
    folder = tmp_path / "minio"
    folder.mkdir()
    with minio(folder, own=True) as server:
        yield server


@pytest.fixture
def wire(store: Minio) -> Iterator[Tripwire]:
    """The way to the store, on which no kept payload is ever fetched."""
    port = int(store.url.rpartition(":")[2])
    with tripwire_to(port, lambda head: head.startswith(b"GET ") and b"/payloads/" in head) as wire:
        yield wire


def through(wire: Tripwire, store: Minio) -> dict[str, str]:
    return store.settings() | {"OBJECTS_URL": f"http://127.0.0.1:{wire.port}"}


def submit(gateway: GatewayProcess) -> str:
    with gateway.http() as http:
        definition = {"name": "breaks", "image": "none", "script": "echo done"}
        assert http.post("/system/services", json=definition).status_code == 201
        return http.post("/job/breaks", content=LARGE).headers["X-OSCAR-Job-ID"]


def assert_set_aside(gateway: GatewayProcess, job: str) -> None:
    with gateway.http() as http:
        wait_for(lambda: http.get(f"/v1/jobs/{job}").json()["state"] == "dead")
        shown = http.get(f"/v1/jobs/{job}").json()
        assert "6 times whoever was to launch it ended" in shown["reason"]
        assert shown["attempt_count"] == 1
        other = http.post("/job/breaks").headers["X-OSCAR-Job-ID"]
        wait_for(lambda: http.get(f"/v1/jobs/{other}").json()["state"] == "succeeded")


def test_from_the_queue_in_the_process(tmp_path: Path, store: Minio, wire: Tripwire) -> None:
    gateway = GatewayProcess(tmp_path / "data", through(wire, store))
    wire.trip = gateway.kill
    with gateway:
        job = submit(gateway)
        for _ in range(TIMES):
            wait_for(lambda: gateway.process is not None and gateway.process.poll() is not None)
            gateway.launch()
        assert_set_aside(gateway, job)


def test_from_rabbitmq(tmp_path: Path, store: Minio, wire: Tripwire) -> None:
    with ExitStack() as stack:
        ledger = stack.enter_context(database(stack.enter_context(postgresql())))
        parts = {
            "DATABASE_URL": ledger,
            "QUEUE_URL": stack.enter_context(rabbitmq()).url,
            "REGISTRY_URL": f"file:{tmp_path / 'registry'}",
            **through(wire, store),
        }
        gateway = stack.enter_context(GatewayProcess(tmp_path / "data", parts))
        worker = Worker(parts, tmp_path / "worker")
        wire.trip = worker.kill
        worker.start()
        stack.callback(worker.kill)
        job = submit(gateway)
        for _ in range(TIMES):
            wait_for(lambda: worker.process is not None and worker.process.poll() is not None)
            # As if the half minute had passed after which others take over.
            asyncio.run(execute(ledger, "UPDATE attempts SET claimed_at = 0, held_at = 0"))
            worker.start()
        assert_set_aside(gateway, job)
