"""Limits of time on real connections: who passes one is told which and where it is set, or is cut off where
an answer has begun, so that no part of it passes for the whole."""

import json
import time
from collections.abc import Iterator

import pytest

from tests.gateway_process import GatewayProcess, wait_for
from tests.wire.raw import Asked, Client, backend, drain

CALL_S, IDLE_S = 2, 1
PIECE = b"5\r\npiece\r\n"
END = b"0\r\n\r\n"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Asked, GatewayProcess]]:
    with backend() as (url, asked):
        settings = {"INVOKER_URL": url, "CALL_LIMIT_S": str(CALL_S), "IDLE_LIMIT_S": str(IDLE_S)}
        with GatewayProcess(tmp_path_factory.mktemp("limits"), settings) as process, process.http() as http:
            for name in ("echo", "held-up", "cut-short", "stalled"):
                definition = {"name": name, "image": "example.org/none", "script": "cat"}
                assert http.post("/system/services", json=definition).status_code == 201
            token = http.get("/system/services/echo").json()["token"]
            yield Client(process.endpoints["url"], token), asked, process


def client_of(process: GatewayProcess, service: str) -> Client:
    with process.http() as http:
        return Client(process.endpoints["url"], http.get(f"/system/services/{service}").json()["token"])


def outcomes(process: GatewayProcess, service: str) -> list[str]:
    with process.http() as http:
        lines = http.get("/metrics").text.splitlines()
    return [line for line in lines if line.startswith("oscar_gateway_calls_total{") and service in line]


def asks(process: GatewayProcess, service: str, query: str, *more: str) -> tuple[bytes, float]:
    """Everything that is answered until the connection ends, and how long that took."""
    client = client_of(process, service)
    head = client.head("Content-Length: 0", *more, target=f"/run/{service}?{query}")
    began = time.monotonic()
    with client.open() as connection:
        connection.sendall(head)
        return drain(connection, until=b"}" if more else b"nothing like this"), time.monotonic() - began


def test_a_call_past_its_limit_is_a_problem_that_names_it_and_is_counted(
    served: tuple[Client, Asked, GatewayProcess],
) -> None:
    _, asked, process = served
    asked.closed.clear()
    answer, took_s = asks(process, "held-up", "wait", "Accept: application/problem+json")
    assert answer.startswith(b"HTTP/1.1 504 ")
    problem = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert (problem["type"], problem["status"], problem["field"]) == (
        "/problems/timed-out",
        504,
        "CALL_LIMIT_S",
    )
    assert f"the limit of {CALL_S} s is set by CALL_LIMIT_S" in problem["detail"]
    assert "/job/held-up" in problem["detail"]
    assert CALL_S <= took_s < CALL_S + 5
    assert asked.closed.wait(10)
    (counted,) = wait_for(lambda: outcomes(process, "held-up"))
    assert 'outcome="timed-out"' in counted and counted.endswith(" 1.0")


@pytest.mark.parametrize(
    ("service", "drip_s", "limit_s", "least"), [("cut-short", 0.3, CALL_S, 3), ("stalled", 60, IDLE_S, 1)]
)
def test_an_answer_that_passes_a_limit_is_cut_off_and_never_ended(
    served: tuple[Client, Asked, GatewayProcess], service: str, drip_s: float, limit_s: float, least: int
) -> None:
    _, asked, process = served
    asked.closed.clear()
    answer, took_s = asks(process, service, f"drip={drip_s}")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.count(PIECE) >= least
    assert not answer.endswith(END)
    assert limit_s <= took_s < limit_s + 5
    assert asked.closed.wait(10)
    (counted,) = wait_for(lambda: outcomes(process, service))
    assert 'outcome="timed-out"' in counted and counted.endswith(" 1.0")


def test_a_client_that_leaves_amid_its_answer_ends_the_call(
    served: tuple[Client, Asked, GatewayProcess],
) -> None:
    client, asked, process = served
    asked.closed.clear()
    with client.open() as connection:
        connection.sendall(client.head("Content-Length: 0", target="/run/echo?drip=0.1"))
        assert PIECE in drain(connection, until=PIECE)
    began = time.monotonic()
    assert asked.closed.wait(10)
    assert time.monotonic() - began < CALL_S
    (counted,) = wait_for(lambda: outcomes(process, '"echo"'))
    assert 'outcome="client-gone"' in counted
