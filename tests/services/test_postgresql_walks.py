"""Jobs of a whole gateway over a real PostgreSQL, of which one or the other is killed under load: who is
refused is told when to come again, and every accepted job settles."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateway_process import GatewayProcess, wait_for
from tests.servers.postgresql import Server, database, own_postgresql

pytestmark = [pytest.mark.services, pytest.mark.timeout(240)]

SETTLED_S = 90.0
RESUMED_S = 20.0
"""Jobs are accepted again at the latest so long after the server is back."""


@pytest.fixture
def server() -> Iterator[Server]:
    with own_postgresql() as server:
        yield server


@pytest.fixture
def gateway(tmp_path: Path, server: Server) -> Iterator[GatewayProcess]:
    with database(server) as url:
        settings = {"DATABASE_URL": url, "JOBS_LIVE_LIMIT": "8"}
        with GatewayProcess(tmp_path / "data", settings) as gateway:
            with gateway.http() as http:
                definition = {"name": "shout", "image": "none", "script": 'tr a-z A-Z < "$INPUT_FILE_PATH"'}
                assert http.post("/system/services", json=definition).status_code == 201
            yield gateway


class Load:
    """Submits jobs for as long as it is asked to, and calls between them; every answer is kept."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self._gateway = gateway
        self._stop = threading.Event()
        self.accepted: list[str] = []
        self.refused: list[httpx.Response] = []
        self.cut = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=self._submit)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def goes_on(self) -> None:
        """Five more are accepted."""
        before = len(self.accepted)
        wait_for(lambda: len(self.accepted) > before + 5, within_s=RESUMED_S)

    def _submit(self) -> None:
        while not self._stop.wait(0.05):
            try:
                with self._gateway.http() as http:
                    answer = http.post("/job/shout", content=b"hello")
            except httpx.TransportError:
                self.cut += 1
                continue
            if answer.status_code == 201:
                self.accepted.append(answer.headers["x-oscar-job-id"])
            else:
                self.refused.append(answer)


def jobs(http: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = {}
    page: dict[str, Any] = {"next": ""}
    while "next" in page:
        answer = http.get("/v1/jobs", params={"limit": 500, "cursor": page["next"]})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found.update({job["id"]: job for job in page["jobs"]})
    return found


def all_settle(gateway: GatewayProcess, load: Load) -> None:
    """What was accepted is there and succeeds; more is there only of who was cut or refused."""
    with gateway.http() as http:
        wait_for(lambda: http.get("/ready").status_code == 200, within_s=RESUMED_S)

        def done() -> bool:
            return all(job["state"] == "succeeded" for job in jobs(http).values())

        wait_for(done, within_s=SETTLED_S, every_s=0.5)
        found = jobs(http)
    assert set(load.accepted) <= set(found)
    assert len(found) <= len(load.accepted) + len(load.refused) + load.cut
    for answer in load.refused:
        assert (answer.status_code, int(answer.headers["retry-after"]) >= 1) == (503, True), answer.text


def test_a_server_killed_under_load_loses_nothing_and_refuses_politely(
    gateway: GatewayProcess, server: Server
) -> None:
    load = Load(gateway)
    with load.running():
        load.goes_on()
        server.kill()
        wait_for(lambda: len(load.refused) > 2, within_s=30)
        with gateway.http() as http:
            assert http.get("/health").text == "Ok"
            assert http.post("/run/shout", content=b"hello").text == "HELLO"
            assert http.get("/ready").status_code == 503
        server.start()
        load.goes_on()
    assert load.cut == 0
    all_settle(gateway, load)


def test_a_gateway_killed_under_load_loses_nothing(gateway: GatewayProcess) -> None:
    load = Load(gateway)
    with load.running():
        for _ in range(3):
            load.goes_on()
            gateway.kill()
            gateway.start()
        load.goes_on()
    assert load.refused == []
    all_settle(gateway, load)


def test_both_killed_at_once_lose_nothing(gateway: GatewayProcess, server: Server) -> None:
    load = Load(gateway)
    with load.running():
        load.goes_on()
        server.kill()
        gateway.kill()
        server.start()
        gateway.start()
        load.goes_on()
    all_settle(gateway, load)
