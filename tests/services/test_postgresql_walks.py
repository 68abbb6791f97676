"""Jobs of a whole gateway over a real PostgreSQL, of which one or the other is killed under load: who is
refused is told when to come again, and every accepted job settles."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway_process import GatewayProcess, wait_for
from tests.servers.postgresql import Server, database, own_postgresql
from tests.services.load import Load, settled, shouting_gateway

pytestmark = [pytest.mark.services, pytest.mark.timeout(240)]

RESUMED_S = 20.0
"""Jobs are accepted again at the latest so long after the server is back."""


@pytest.fixture
def server() -> Iterator[Server]:
    with own_postgresql() as server:
        yield server


@pytest.fixture
def gateway(tmp_path: Path, server: Server) -> Iterator[GatewayProcess]:
    with database(server) as url, shouting_gateway(tmp_path / "data", {"DATABASE_URL": url}) as gateway:
        yield gateway


def jobs_go_on(load: Load) -> None:
    load.goes_on(jobs=5, within_s=RESUMED_S)


def all_settle(gateway: GatewayProcess, load: Load) -> None:
    """What was accepted is there and succeeds; more is there only of who was cut or refused."""
    with gateway.http() as http:
        wait_for(lambda: http.get("/ready").status_code == 200, within_s=RESUMED_S)
    found = settled(gateway)
    assert set(load.accepted) <= set(found)
    assert len(found) <= len(load.accepted) + len(load.refused) + load.cut
    for answer in load.refused:
        assert (answer.status_code, int(answer.headers["retry-after"]) >= 1) == (503, True), answer.text


def test_a_server_killed_under_load_loses_nothing_and_refuses_politely(
    gateway: GatewayProcess, server: Server
) -> None:
    load = Load(gateway)
    with load.running():
        jobs_go_on(load)
        server.kill()
        wait_for(lambda: len(load.refused) > 2, within_s=30)
        with gateway.http() as http:
            assert http.get("/health").text == "Ok"
            assert http.post("/run/shout", content=b"hello").text == "HELLO"
            assert http.get("/ready").status_code == 503
        server.start()
        jobs_go_on(load)
    assert load.cut == 0
    all_settle(gateway, load)


def test_a_gateway_killed_under_load_loses_nothing(gateway: GatewayProcess) -> None:
    load = Load(gateway)
    with load.running():
        for _ in range(3):
            jobs_go_on(load)
            gateway.kill()
            gateway.start()
        jobs_go_on(load)
    assert load.refused == []
    all_settle(gateway, load)


def test_both_killed_at_once_lose_nothing(gateway: GatewayProcess, server: Server) -> None:
    load = Load(gateway)
    with load.running():
        jobs_go_on(load)
        server.kill()
        gateway.kill()
        server.start()
        gateway.start()
        jobs_go_on(load)
    all_settle(gateway, load)
