"""Jobs of a whole gateway over a real RabbitMQ that is killed, loses its data, raises its alarm or is not
there: accepting goes on, and every accepted job settles."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateway_process import GatewayProcess, wait_for
from tests.servers.rabbitmq import Broker, own_rabbitmq

pytestmark = [pytest.mark.services, pytest.mark.timeout(240)]

RESUMED_S = 10.0
"""Work goes on at the latest so long after the broker is back."""
SETTLED_S = 90.0
SLOW_S = 6.0
"""No accept takes longer, whatever the broker does."""


@pytest.fixture
def broker() -> Iterator[Broker]:
    with own_rabbitmq() as broker:
        yield broker


@pytest.fixture
def gateway(tmp_path: Path, broker: Broker) -> Iterator[GatewayProcess]:
    settings = {"QUEUE_URL": broker.url, "JOBS_LIVE_LIMIT": "8"}
    with GatewayProcess(tmp_path / "data", settings) as gateway:
        with gateway.http() as http:
            definition = {"name": "shout", "image": "none", "script": 'tr a-z A-Z < "$INPUT_FILE_PATH"'}
            assert http.post("/system/services", json=definition).status_code == 201
        yield gateway


class Load:
    """Submits jobs for as long as it is asked to; every answer is kept."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self._gateway = gateway
        self._stop = threading.Event()
        self.accepted: list[str] = []
        self.refused: list[int] = []
        self.slowest_s = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=self._submit)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _submit(self) -> None:
        with self._gateway.http() as http:
            while not self._stop.wait(0.1):
                started = time.monotonic()
                answer = http.post("/job/shout", content=b"hello")
                self.slowest_s = max(self.slowest_s, time.monotonic() - started)
                if answer.status_code == 201:
                    self.accepted.append(answer.headers["x-oscar-job-id"])
                else:
                    self.refused.append(answer.status_code)


def jobs(http: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = {}
    page = {"limit": 500}
    answer = http.get("/v1/jobs", params=page).json()
    found.update({job["id"]: job for job in answer["jobs"]})
    while answer.get("next_page"):
        answer = http.get("/v1/jobs", params=page | {"page": answer["next_page"]}).json()
        found.update({job["id"]: job for job in answer["jobs"]})
    return found


def succeeded(http: httpx.Client) -> int:
    return sum(job["state"] == "succeeded" for job in jobs(http).values())


def all_settle(gateway: GatewayProcess, load: Load) -> None:
    with gateway.http() as http:

        def done() -> bool:
            return all(job["state"] == "succeeded" for job in jobs(http).values())

        wait_for(done, within_s=SETTLED_S, every_s=0.5)
        found = jobs(http)
    assert set(found) == set(load.accepted)
    assert {job["attempt_count"] for job in found.values()} == {1}
    assert load.refused == []
    assert load.slowest_s < SLOW_S


def test_a_broker_killed_under_load_loses_nothing(gateway: GatewayProcess, broker: Broker) -> None:
    load = Load(gateway)
    with load.running(), gateway.http() as http:
        wait_for(lambda: succeeded(http) > 5)
        broker.kill()
        before = len(load.accepted)
        wait_for(lambda: len(load.accepted) > before + 20, within_s=30)
        broker.start()
        done = succeeded(http)
        wait_for(lambda: succeeded(http) > done + 5, within_s=RESUMED_S)
    all_settle(gateway, load)


def test_a_broker_that_lost_everything_is_filled_again_from_the_ledger(
    gateway: GatewayProcess, broker: Broker
) -> None:
    load = Load(gateway)
    with load.running(), gateway.http() as http:
        wait_for(lambda: succeeded(http) > 5)
        broker.kill()
        broker.forget()
        before = len(load.accepted)
        wait_for(lambda: len(load.accepted) > before + 20, within_s=30)
        broker.start()
        done = succeeded(http)
        wait_for(lambda: succeeded(http) > done + 5, within_s=RESUMED_S)
    all_settle(gateway, load)


def test_an_alarm_delays_work_and_refuses_nobody(gateway: GatewayProcess, broker: Broker) -> None:
    load = Load(gateway)
    with load.running(), gateway.http() as http:
        wait_for(lambda: succeeded(http) > 5)
        broker.control("set_vm_memory_high_watermark", "0.000001")
        wait_for(lambda: "alarm" in http.get("/ready").text)
        before = len(load.accepted)
        wait_for(lambda: len(load.accepted) > before + 20, within_s=30)
        broker.control("set_vm_memory_high_watermark", "0.4")
        done = succeeded(http)
        wait_for(lambda: succeeded(http) > done + 5, within_s=RESUMED_S)
    all_settle(gateway, load)


def test_a_queue_deleted_under_load_is_made_again(gateway: GatewayProcess, broker: Broker) -> None:
    load = Load(gateway)
    with load.running(), gateway.http() as http:
        wait_for(lambda: succeeded(http) > 5)
        broker.control("delete_queue", "oscar-gateway.jobs")
        done = succeeded(http)
        wait_for(lambda: succeeded(http) > done + 5, within_s=RESUMED_S)
    all_settle(gateway, load)


def test_without_a_broker_it_starts_accepts_and_says_why_it_is_not_ready(
    tmp_path: Path, broker: Broker
) -> None:
    broker.kill()
    gateway = GatewayProcess(tmp_path / "data", {"QUEUE_URL": broker.at(credential="guest:guest")})
    gateway.launch()
    try:
        with gateway.http() as http:
            answer = http.get("/ready")
            assert answer.status_code == 503
            assert answer.json()["not_ready"] == {"queue": "the broker is not reachable"}
            definition = {"name": "shout", "image": "none", "script": 'cat "$INPUT_FILE_PATH"'}
            assert http.post("/system/services", json=definition).status_code == 201
            assert http.post("/job/shout", content=b"hello").status_code == 201
            broker.start()
            wait_for(lambda: http.get("/ready").status_code == 200, within_s=RESUMED_S)
            wait_for(lambda: succeeded(http) == 1, within_s=RESUMED_S)
    finally:
        assert gateway.stop() == 0
    log = gateway.log()
    told = [line for line in log.splitlines() if "broker.away" in line and "publishing" in line]
    assert len(told) == 1, log
    assert "guest:guest" not in log


def test_what_is_in_hand_at_the_stop_is_not_lost(gateway: GatewayProcess, broker: Broker) -> None:
    load = Load(gateway)
    with load.running(), gateway.http() as http:
        wait_for(lambda: succeeded(http) > 5)
    assert gateway.stop() == 0
    gateway.start()
    all_settle(gateway, load)


def test_a_stop_leaves_no_connection_behind(gateway: GatewayProcess, broker: Broker) -> None:
    with gateway.http() as http:
        for _ in range(10):
            http.post("/job/shout", content=b"hello")
        wait_for(lambda: succeeded(http) == 10)
    assert gateway.stop() == 0
    assert "->" not in broker.control("list_connections", "name")
