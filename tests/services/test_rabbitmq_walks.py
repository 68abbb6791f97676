"""Jobs of a whole gateway over a real RabbitMQ that is killed, loses its data, raises its alarm or is not
there: accepting goes on, and every accepted job settles."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.gateway_process import GatewayProcess, wait_for
from tests.servers.rabbitmq import Broker, own_rabbitmq
from tests.services.load import Load, settled, shouting_gateway, succeeded

pytestmark = [pytest.mark.services, pytest.mark.timeout(240)]

RESUMED_S = 10.0
"""Work goes on at the latest so long after the broker is back."""
SLOW_S = 6.0
"""No accept takes longer, whatever the broker does."""


@pytest.fixture
def broker() -> Iterator[Broker]:
    with own_rabbitmq() as broker:
        yield broker


@pytest.fixture
def gateway(tmp_path: Path, broker: Broker) -> Iterator[GatewayProcess]:
    with shouting_gateway(tmp_path / "data", {"QUEUE_URL": broker.url}) as gateway:
        yield gateway


def work_goes_on(http: httpx.Client) -> None:
    done = succeeded(http)
    wait_for(lambda: succeeded(http) > done + 5, within_s=RESUMED_S)


def all_settle(gateway: GatewayProcess, load: Load) -> None:
    found = settled(gateway)
    assert set(found) == set(load.accepted)
    assert {job["attempt_count"] for job in found.values()} == {1}
    assert load.refused == []
    assert load.slowest_s < SLOW_S


@pytest.mark.parametrize("forgetful", [False, True], ids=["kept", "lost"])
def test_a_broker_killed_under_load_loses_nothing_with_its_data_or_without(
    gateway: GatewayProcess, broker: Broker, forgetful: bool
) -> None:
    load = Load(gateway)
    with load.running(), gateway.http() as http:
        wait_for(lambda: succeeded(http) > 5)
        broker.kill()
        if forgetful:
            broker.forget()
        load.goes_on(jobs=20, within_s=30)
        broker.start()
        work_goes_on(http)
    all_settle(gateway, load)


def test_an_alarm_delays_work_and_refuses_nobody(gateway: GatewayProcess, broker: Broker) -> None:
    load = Load(gateway)
    with load.running(), gateway.http() as http:
        wait_for(lambda: succeeded(http) > 5)
        broker.control("set_vm_memory_high_watermark", "0.000001")
        wait_for(lambda: "alarm" in http.get("/ready").text)
        load.goes_on(jobs=20, within_s=30)
        broker.control("set_vm_memory_high_watermark", "0.4")
        work_goes_on(http)
    all_settle(gateway, load)


def test_a_queue_deleted_under_load_is_made_again(gateway: GatewayProcess, broker: Broker) -> None:
    load = Load(gateway)
    with load.running(), gateway.http() as http:
        wait_for(lambda: succeeded(http) > 5)
        broker.control("delete_queue", "oscar-gateway.jobs")
        work_goes_on(http)
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
