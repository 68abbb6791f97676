"""Too much at once, on real connections to one backend: refused at once with the time to come again, each
service and each caller within its own bounds."""

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.gateway_process import GatewayProcess
from tests.wire.raw import Client, backend, drain

PLACES, SEATS, CALLERS = 4, 2, 8
AT_ONCE_S = 2.0


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    settings = {
        "SERVICE_CALLS_LIMIT": str(PLACES),
        "SERVICE_CALLS_WAITING": str(SEATS),
        "CALLER_CALLS_LIMIT": str(CALLERS),
        "HOLD_LIMIT_S": "1",
    }
    with backend() as (url, _):
        place = tmp_path_factory.mktemp("pressure")
        with GatewayProcess(place, settings | {"INVOKER_URL": url}) as process, process.http() as http:
            for name, annotations in (
                ("slow", {}),
                ("quick", {}),
                ("many", {"oscar-gateway/calls-live": "100"}),
                ("job", {"oscar-gateway/direct-seconds": "0"}),
            ):
                script = "sleep 60"
                definition = {"name": name, "image": "none", "script": script, "annotations": annotations}
                assert http.post("/system/services", json=definition).status_code == 201
            yield process


def client_of(process: GatewayProcess, service: str) -> Client:
    with process.http() as http:
        return Client(process.endpoints["url"], http.get(f"/system/services/{service}").json()["token"])


def asked(client: Client, target: str) -> tuple[bytes, float]:
    began = time.monotonic()
    with client.open() as connection:
        connection.sendall(client.head("Content-Length: 2", target=target) + b"ok")
        answer = drain(connection, until=b"\r\n\r\n")
    return answer, time.monotonic() - began


@pytest.mark.parametrize(
    ("service", "fits", "status"), [("slow", PLACES + SEATS, b"503"), ("many", CALLERS, b"429")]
)
def test_what_is_too_much_is_refused_at_once_and_takes_nothing_from_other_services(
    process: GatewayProcess, service: str, fits: int, status: bytes
) -> None:
    client, quick = client_of(process, service), client_of(process, "quick")
    with ExitStack() as opened:
        for _ in range(fits):
            connection = opened.enter_context(client.open())
            connection.sendall(client.head("Content-Length: 0", target=f"/run/{service}?wait"))
        refusals = [asked(client, f"/run/{service}") for _ in range(20)]
        # Those before it may still be on their way in when the first ones come.
        for refused, took_s in refusals[10:]:
            assert refused.startswith(b"HTTP/1.1 " + status)
            assert b"retry-after: " in refused
            assert took_s < AT_ONCE_S
        for _ in range(5):
            answer, took_s = asked(quick, "/run/quick")
            assert answer.startswith(b"HTTP/1.1 200")
            assert took_s < AT_ONCE_S


def test_who_says_nothing_is_held_for_as_long_as_the_setting_says(process: GatewayProcess) -> None:
    answer, took_s = asked(client_of(process, "job"), "/run/job")
    assert answer.startswith(b"HTTP/1.1 202")
    assert b"x-oscar-route: job; reason=service" in answer
    assert 1 <= took_s < 5
