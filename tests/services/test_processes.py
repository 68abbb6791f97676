"""Several gateway processes on one port, over real servers, with a worker beside them."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.gateway_process import GatewayProcess, wait_for
from tests.servers.minio import minio
from tests.servers.postgresql import database, postgresql
from tests.servers.rabbitmq import rabbitmq

pytestmark = [pytest.mark.services, pytest.mark.timeout(180)]

SETTLED_S = 90.0
"""What was accepted and not announced before a kill is found by a sweep, within half a minute or so."""
SHOUT = {"name": "shout", "image": "none", "script": 'tr a-z A-Z < "$INPUT_FILE_PATH"'}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Settings of real servers that all tests here share."""
    with ExitStack() as stack:
        store = stack.enter_context(minio(tmp_path_factory.mktemp("minio")))
        yield {
            "DATABASE_URL": stack.enter_context(database(stack.enter_context(postgresql()))),
            "QUEUE_URL": stack.enter_context(rabbitmq()).url,
            "REGISTRY_URL": f"file:{tmp_path_factory.mktemp('registry')}",
            **store.settings(),
        }


@pytest.fixture
def gateway(tmp_path: Path, parts: dict[str, str]) -> Iterator[GatewayProcess]:
    with GatewayProcess(tmp_path / "data", {**parts, "GATEWAY_PROCESSES": "2"}) as gateway:
        wait_for(lambda: len(children(gateway)) == 2)
        wait_for(lambda: all(served(gateway, number) for number in (1, 2)), within_s=30)
        yield gateway


@contextmanager
def worker(folder: Path, parts: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    folder.mkdir()
    environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(folder), "HTTP_PORT": "0", **parts}
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "workers"], env=environment, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 0


def children(gateway: GatewayProcess) -> dict[int, psutil.Process]:
    """By their number."""
    assert gateway.process is not None
    found = {}
    for child in psutil.Process(gateway.process.pid).children():
        line = child.cmdline()
        if "--process" in line:
            found[int(line[-1])] = child
    return found


def served(gateway: GatewayProcess, number: int) -> bool:
    return (gateway.data_dir / "processes" / str(number) / "endpoints.json").exists()


def ask(gateway: GatewayProcess, method: str, path: str, **more: Any) -> httpx.Response:
    """On a connection of its own."""
    with gateway.http() as http:
        return http.request(method, path, **more)


def state(http: httpx.Client, job: str) -> object:
    return http.get(f"/v1/jobs/{job}", headers={"Prefer": "wait=5"}).json()["state"]


def deploy(gateway: GatewayProcess, definition: Mapping[str, object]) -> None:
    assert ask(gateway, "POST", "/system/services", json=definition).status_code in (201, 409)

    def known() -> bool:
        """In whichever process answers."""
        path = f"/system/services/{definition['name']}"
        return all(ask(gateway, "GET", path).status_code == 200 for _ in range(12))

    wait_for(known, within_s=20)


def test_two_processes_answer_on_one_port_with_one_view(
    gateway: GatewayProcess, tmp_path: Path, parts: dict[str, str]
) -> None:
    deploy(gateway, SHOUT)
    for _ in range(24):
        assert ask(gateway, "POST", "/run/shout", content=b"hello").text == "HELLO"
    with worker(tmp_path / "worker", parts):
        accepted = [
            ask(gateway, "POST", "/job/shout", content=b"hello").headers["x-oscar-job-id"] for _ in range(8)
        ]
        for job in accepted:
            with gateway.http() as http:
                wait_for(lambda job=job: state(http, job) == "succeeded", within_s=SETTLED_S)  # type: ignore[misc]


def counted(gateway: GatewayProcess) -> float:
    """Calls of /run that went well, by one answer of /metrics."""
    text = ask(gateway, "GET", "/metrics").text
    name = 'oscar_gateway_calls_total{outcome="ok",service="shout"} '
    return sum(float(line.removeprefix(name)) for line in text.splitlines() if line.startswith(name))


def test_measures_and_access_lines_are_those_of_all_processes(gateway: GatewayProcess) -> None:
    deploy(gateway, SHOUT)
    for _ in range(12):
        assert ask(gateway, "POST", "/run/shout", content=b"hello").text == "HELLO"
    seen = [counted(gateway)]

    def all_are_seen() -> bool:
        seen.append(counted(gateway))
        return seen[-1] == 12

    wait_for(all_are_seen)
    assert [counted(gateway) for _ in range(8)] == [12] * 8
    assert seen == sorted(seen)
    for child in children(gateway).values():
        child.kill()
    wait_for(lambda: "oscar_gateway" in metrics_if_any(gateway), within_s=30)
    assert counted(gateway) == 12
    lines = ask(gateway, "GET", "/system/logs").json()["logs"]
    assert sum(line["path"] == "/run/shout" for line in lines) == 12


def metrics_if_any(gateway: GatewayProcess) -> str:
    try:
        return ask(gateway, "GET", "/metrics").text
    except httpx.TransportError:
        return ""


def test_a_killed_process_is_replaced_and_no_accepted_job_is_lost(
    gateway: GatewayProcess, tmp_path: Path, parts: dict[str, str]
) -> None:
    deploy(gateway, SHOUT)
    before = children(gateway)
    accepted = []
    for number in range(60):
        if number == 20:
            before[1].kill()
        if number == 40:
            before[2].kill()
        try:
            answer = ask(gateway, "POST", "/job/shout", content=b"hello")
        except httpx.TransportError:
            continue
        assert answer.status_code == 201
        accepted.append(answer.headers["x-oscar-job-id"])
    assert len(accepted) > 30

    def replaced() -> bool:
        now = children(gateway)
        return set(now) == {1, 2} and all(now[number].pid != before[number].pid for number in now)

    wait_for(replaced)
    wait_for(lambda: served(gateway, 1) and served(gateway, 2), within_s=30)
    with worker(tmp_path / "worker", parts), gateway.http() as http:
        for job in accepted:
            wait_for(lambda job=job: state(http, job) == "succeeded", within_s=SETTLED_S)  # type: ignore[misc]
            assert http.get(f"/v1/jobs/{job}").json()["attempt_count"] == 1


def test_a_process_that_cannot_start_leaves_the_port_to_the_other(
    tmp_path: Path, parts: dict[str, str]
) -> None:
    (tmp_path / "data" / "processes").mkdir(parents=True)
    (tmp_path / "data" / "processes" / "2").touch()
    with GatewayProcess(tmp_path / "data", {**parts, "GATEWAY_PROCESSES": "2"}) as gateway:
        wait_for(lambda: gateway.log().count("process.died") >= 2, within_s=30)
        for _ in range(16):
            assert ask(gateway, "GET", "/health").text == "Ok"


def test_a_stop_ends_all_and_leaves_the_port_free(gateway: GatewayProcess) -> None:
    every = children(gateway).values()
    assert gateway.stop() == 0
    assert not any(child.is_running() for child in every)
    with pytest.raises(httpx.ConnectError):
        ask(gateway, "GET", "/health")
    assert "Traceback" not in gateway.log()


def test_processes_end_with_the_one_that_kept_them(gateway: GatewayProcess) -> None:
    every = list(children(gateway).values())
    gateway.kill()
    assert psutil.wait_procs(every, timeout=20)[1] == []
    with pytest.raises(httpx.ConnectError):
        ask(gateway, "GET", "/health")
    gateway.start()


def test_a_port_of_another_gateway_with_several_processes_is_refused(
    gateway: GatewayProcess, tmp_path: Path, parts: dict[str, str]
) -> None:
    port = gateway.endpoints["url"].rpartition(":")[2]
    environment = {
        "PATH": os.environ["PATH"],
        "DATA_DIR": str(tmp_path / "other"),
        "HTTP_PORT": port,
        **parts,
    }
    command = [sys.executable, "-m", "gateway", "--workers", "2"]
    ended = subprocess.run(command, env=environment, capture_output=True, timeout=30, check=False)
    assert (ended.returncode, b"HTTP_PORT: cannot listen" in ended.stderr) == (2, True)
