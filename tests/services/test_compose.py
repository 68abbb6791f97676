"""docker-compose.yml keeps its promises, brought up by Docker Compose itself in a real engine."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.contracts.container_engine import IMAGE, make_image
from tests.gateway_process import wait_for
from tests.servers.compose import FILE, OURS, Project, compose_program, compose_project, services

pytestmark = [pytest.mark.services, pytest.mark.timeout(600)]

STOPPED_S = 20.0
"""From a cancelling request at the gateway to the end that the worker tells: it looks every 5 s."""


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with compose_project(tmp_path_factory.mktemp("composed")) as up:
        yield up


@pytest.fixture
async def image() -> str:
    await make_image(IMAGE)
    return IMAGE


@pytest.fixture
def http(composed: Project) -> Iterator[httpx.Client]:
    with composed.http() as client:
        yield client


Deploy = Callable[..., None]


@pytest.fixture
def deploy(http: httpx.Client, image: str) -> Deploy:
    def deployed(name: str, script: str, **more: Any) -> None:
        definition = {"name": name, "image": image, "script": script, "memory": "64Mi", **more}
        answer = http.post("/system/services", json=definition)
        assert answer.status_code == 201, answer.text

    return deployed


def submit(http: httpx.Client, service: str, body: bytes = b"hello") -> str:
    answer = http.post(f"/job/{service}", content=body)
    assert answer.status_code == 201, answer.text
    return answer.headers["x-oscar-job-id"]


def reaches(http: httpx.Client, job: str, state: str) -> dict[str, Any]:
    def found() -> dict[str, Any] | None:
        shown: dict[str, Any] = http.get(f"/v1/jobs/{job}").json()
        return shown if shown["state"] == state else None

    return wait_for(found, within_s=40) or {}


def test_calls_and_jobs_run_in_containers_of_the_service(http: httpx.Client, deploy: Deploy) -> None:
    deploy("inside", 'echo "$(cat "$INPUT_FILE_PATH"), $(ls /bin/busybox)"')
    assert http.post("/run/inside", content=b"hello").text == "hello, /bin/busybox\n"
    job = submit(http, "inside")
    reaches(http, job, "succeeded")
    assert http.get(f"/v1/jobs/{job}/result").text == "hello, /bin/busybox\n"


def test_a_file_put_into_the_store_becomes_an_output(
    composed: Project, http: httpx.Client, deploy: Deploy
) -> None:
    rule = {"storage_provider": "minio.default"}
    deploy(
        "copying",
        'cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/copy"',
        input=[rule | {"path": "copying/in"}],
        output=[rule | {"path": "copying/out"}],
    )
    s3 = composed.s3()
    try:
        s3.put_object(Bucket="copying", Key="in/file", Body=b"content")

        def copied() -> bool:
            return bool(s3.list_objects_v2(Bucket="copying", Prefix="out/copy")["KeyCount"])

        wait_for(copied, within_s=40)
        assert s3.get_object(Bucket="copying", Key="out/copy")["Body"].read() == b"content"
    finally:
        s3.close()


def test_the_gateway_shows_what_a_job_of_the_worker_has_printed_so_far(
    http: httpx.Client, deploy: Deploy
) -> None:
    deploy("telling", "echo so far; sleep 60")
    job = submit(http, "telling")
    reaches(http, job, "running")
    wait_for(lambda: http.get(f"/system/logs/telling/{job}").text == "so far\n")
    assert http.delete(f"/v1/jobs/{job}").status_code == 200


def test_a_job_that_runs_at_the_worker_is_cancelled_at_the_gateway(
    http: httpx.Client, deploy: Deploy
) -> None:
    deploy("endless", "sleep 200")
    job = submit(http, "endless")
    reaches(http, job, "running")
    assert http.delete(f"/v1/jobs/{job}").status_code == 200
    wait_for(lambda: http.get(f"/v1/jobs/{job}").json()["state"] == "cancelled", within_s=STOPPED_S)


def test_gateway_and_worker_killed_in_the_middle_lose_and_repeat_nothing(
    composed: Project, http: httpx.Client, deploy: Deploy
) -> None:
    deploy("lasting", 'sleep 5; cat "$INPUT_FILE_PATH"')
    jobs = [submit(http, "lasting", f"{number}".encode()) for number in range(6)]
    reaches(http, jobs[0], "running")
    composed.kill("gateway", "worker")
    composed.up("worker", "gateway")
    for number, job in enumerate(jobs):
        assert reaches(http, job, "succeeded")["attempt_count"] == 1
        assert http.get(f"/v1/jobs/{job}/result").text == f"{number}"


def test_two_workers_share_the_work_and_leave_each_others_alone(
    composed: Project, http: httpx.Client, deploy: Deploy
) -> None:
    deploy("shared", 'sleep 12; cat "$INPUT_FILE_PATH"')
    composed.add("worker-2", like="worker")
    composed.up("worker-2")
    try:
        jobs = [submit(http, "shared") for _ in range(4)]
        for job in jobs:
            reaches(http, job, "running")
        for name in ("worker", "worker-2"):
            assert composed.inside(name, "ls", "/data/attempts"), name
        for job in jobs:
            assert reaches(http, job, "succeeded")["attempt_count"] == 1
    finally:
        assert composed.stop("worker-2") == 0, composed.log("worker-2")


def test_down_and_up_lose_nothing(composed: Project, http: httpx.Client, deploy: Deploy) -> None:
    deploy("kept", 'cat "$INPUT_FILE_PATH"', input=[{"storage_provider": "minio.default", "path": "kept/in"}])
    job = submit(http, "kept", b"before")
    reaches(http, job, "succeeded")
    s3 = composed.s3()
    try:
        s3.put_object(Bucket="kept", Key="aside/file", Body=b"content")
        before = dict(composed.endpoints)
        composed.down()
        composed.up()
        assert composed.endpoints == before
        assert s3.get_object(Bucket="kept", Key="aside/file")["Body"].read() == b"content"
    finally:
        s3.close()
    assert http.get(f"/v1/jobs/{job}/result").text == "before"
    assert http.post("/run/kept", content=b"after").text == "after"
    assert reaches(http, submit(http, "kept", b"after"), "succeeded")["attempt_count"] == 1


def test_compose_says_what_has_to_be_given_and_opens_two_ports_on_loopback() -> None:
    def read(**variables: str) -> subprocess.CompletedProcess[str]:
        given = {"PATH": os.environ["PATH"], **variables}
        command = [*compose_program(), "--file", str(FILE), "config", "--format", "json"]
        return subprocess.run(command, env=given, capture_output=True, text=True, timeout=30, check=False)

    taken = read(DOCKER_GROUP="999")
    assert taken.returncode == 0, taken.stderr
    resolved = json.loads(taken.stdout)["services"]
    ports = [port for service in resolved.values() for port in service.get("ports", [])]
    assert {(port["host_ip"], port["published"]) for port in ports} == {
        ("127.0.0.1", "8080"),
        ("127.0.0.1", "9000"),
    }
    for name, service in resolved.items():
        assert name == "secrets" or service["healthcheck"], name
        assert name in OURS or re.search(r":.*\d", service["image"]), name
    refused = read()
    assert refused.returncode != 0
    assert "DOCKER_GROUP" in refused.stderr


def test_no_secret_stands_in_a_containers_configuration_or_log(composed: Project) -> None:
    made = [composed.secret(name) for name in ("ours", "minio", "postgres", "rabbitmq")]
    assert {"OSCAR_PASSWORD", "CLAIM_KEY", "EVENTS_TOKEN", "S3_SECRET_KEY"} <= set(made[0])
    values = set(re.findall(r"[0-9a-f]{48}", json.dumps(made)))
    assert len(values) == 6
    for name in services():
        told = json.dumps(composed.shown(name)) + composed.log(name)
        assert not [value for value in values if value in told], name
