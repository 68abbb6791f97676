"""Held calls on real connections: nobody but the connection waits, and all that held calls promise holds."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.gateway_process import GatewayProcess, wait_for
from tests.wire.raw import Client, drain

PLACES = 3
LATER = "Prefer: wait=30"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """Scripts wait for a file named as their input is, which must not be taken for Base64."""
    folder = tmp_path_factory.mktemp("parked")
    settings = {"HELD_CALLS_LIMIT": str(PLACES), "CALLER_CALLS_LIMIT": str(PLACES + 1)}
    with GatewayProcess(folder / "data", settings) as process, process.http() as http:
        wait = f'while [ ! -e {folder}/"$name" ]; do sleep 0.05; done'
        script = f'name=$(cat "$INPUT_FILE_PATH"); touch {folder}/"$name.began"; {wait}; echo "done $name"'
        for name, annotations in (("slow", {"oscar-gateway/direct-seconds": "0"}), ("quick", {})):
            definition = {"name": name, "image": "none", "script": script, "annotations": annotations}
            assert http.post("/system/services", json=definition).status_code == 201
        yield process


@pytest.fixture
def folder(process: GatewayProcess) -> Path:
    return process.data_dir.parent


@pytest.fixture
def client(process: GatewayProcess) -> Client:
    return caller(process, "slow")


def caller(process: GatewayProcess, service: str) -> Client:
    with process.http() as http:
        return Client(process.endpoints["url"], http.get(f"/system/services/{service}").json()["token"])


def call(client: Client, name: str, *more: str) -> bytes:
    head = client.head(f"Content-Length: {len(name)}", LATER, *more, target="/run/slow")
    return head + name.encode()


def job_of(process: GatewayProcess, answer: bytes) -> dict[str, Any]:
    name = answer.lower().partition(b"x-oscar-job-id: ")[2].partition(b"\r\n")[0].decode()
    with process.http() as http:
        job: dict[str, Any] = http.get(f"/v1/jobs/{name}").json()
        return job


def newest(process: GatewayProcess) -> dict[str, Any]:
    with process.http() as http:
        job: dict[str, Any] = http.get("/v1/jobs", params={"service": "slow"}).json()["jobs"][0]
        return job


def test_the_answer_comes_soon_and_the_connection_goes_on(
    process: GatewayProcess, client: Client, folder: Path
) -> None:
    with client.open() as connection:
        connection.sendall(call(client, "first") + call(client, "second", "Connection: close"))
        wait_for((folder / "first.began").exists)
        assert not (folder / "second.began").exists()
        (folder / "first").touch()
        first = drain(connection, until=b"done first\n")
        assert time.time() - (folder / "first").stat().st_mtime < 5
        wait_for((folder / "second.began").exists)
        (folder / "second").touch()
        second = drain(connection)
    for answer in (first, second):
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"x-oscar-route: job; reason=" in answer
        assert b"server-timing: queue;dur=" in answer
    assert second.endswith(b"done second\n")


def test_when_its_time_is_over_it_is_told_where_the_answer_will_be(
    process: GatewayProcess, client: Client, folder: Path
) -> None:
    head = client.head("Content-Length: 8", "Prefer: wait=1", "Accept: text/plain", target="/run/slow")
    began = time.monotonic()
    with client.open() as connection:
        connection.sendall(head + b"is-over.")
        answer = drain(connection, until=b"}}")
    assert 1 <= time.monotonic() - began < 5
    assert answer.startswith(b"HTTP/1.1 202")
    told = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert f"location: {told['links']['status']}\r\n".encode() in answer
    (folder / "is-over.").touch()
    wait_for(lambda: job_of(process, answer)["state"] == "succeeded")
    assert job_of(process, answer)["attempt_count"] == 1


def leave(process: GatewayProcess, client: Client, folder: Path, name: str, *more: str) -> str:
    """The job of a call whose client went away while it was held."""
    with client.open() as connection:
        connection.sendall(call(client, name, *more))
        wait_for((folder / f"{name}.began").exists)
        job: str = newest(process)["id"]
        connection.shutdown(socket.SHUT_RDWR)
    return job


def test_who_leaves_ends_the_job_and_frees_the_place(
    process: GatewayProcess, client: Client, folder: Path
) -> None:
    for number in range(2 * PLACES):
        job = leave(process, client, folder, f"left-{number}")
        wait_for(lambda: newest(process)["state"] == "cancelled")
        assert newest(process)["id"] == job
    with process.http() as http:
        counted = http.get("/metrics").text
    assert f'outcome="client-gone",service="slow"}} {2 * PLACES}' in counted


def test_who_can_come_back_ends_nothing(process: GatewayProcess, client: Client, folder: Path) -> None:
    again = 'Idempotency-Key: "back"'
    job = leave(process, client, folder, "came-back", again)
    with client.open() as connection:
        connection.sendall(call(client, "came-back", again))
        (folder / "came-back").touch()
        answer = drain(connection, until=b"done came-back\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert job_of(process, answer)["id"] == job


def test_beyond_the_places_calls_are_handed_over_and_beyond_a_callers_refused(
    process: GatewayProcess, client: Client, folder: Path
) -> None:
    with ExitStack() as opened:
        waiting = [opened.enter_context(client.open()) for _ in range(PLACES)]
        for number, connection in enumerate(waiting):
            connection.sendall(call(client, f"full-{number}"))
            wait_for((folder / f"full-{number}.began").exists)
        with client.open() as one_more:
            one_more.sendall(call(client, "full-more"))
            assert drain(one_more, until=b"}}").startswith(b"HTTP/1.1 202")
        for name in ("full-more", *(f"full-{number}" for number in range(PLACES))):
            (folder / name).touch()
        for number, connection in enumerate(waiting):
            assert drain(connection, until=f"done full-{number}\n".encode()).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("service", ["slow", "quick"])
def test_a_page_may_read_its_answer_held_or_direct(
    process: GatewayProcess, folder: Path, service: str
) -> None:
    """What a browser needs is added by a layer around the endpoint."""
    (folder / "a-page").touch()
    client, origin = caller(process, service), "Origin: https://a.example.org"
    with client.open() as connection:
        connection.sendall(client.head("Content-Length: 6", origin, target=f"/run/{service}") + b"a-page")
        answer = drain(connection, until=b"done a-page\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"access-control-allow-origin: *\r\n" in answer
