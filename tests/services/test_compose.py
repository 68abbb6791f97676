"""docker-compose.yml keeps its promises: its own processes, wired as the file says, with a real engine."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.contracts.container_engine import IMAGE, make_image
from tests.gateway_process import wait_for
from tests.go_program import build_program
from tests.servers.composition import FILE, Composition, composition, read_services

pytestmark = [pytest.mark.services, pytest.mark.timeout(240)]

STOPPED_S = 20.0
"""From a cancelling request at the gateway to the end that the worker tells: it looks every 5 s."""


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composition]:
    with composition(tmp_path_factory.mktemp("composition")) as running:
        yield running


@pytest.fixture
async def image() -> str:
    await make_image(IMAGE)
    return IMAGE


@pytest.fixture
def http(composed: Composition) -> Iterator[httpx.Client]:
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
    composed: Composition, http: httpx.Client, deploy: Deploy
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
    composed: Composition, http: httpx.Client, deploy: Deploy
) -> None:
    deploy("lasting", 'sleep 5; cat "$INPUT_FILE_PATH"')
    jobs = [submit(http, "lasting", f"{number}".encode()) for number in range(6)]
    reaches(http, jobs[0], "running")
    for name in ("gateway", "worker"):
        composed.kill(name)
    for name in ("worker", "gateway"):
        composed.start(name)
    for number, job in enumerate(jobs):
        assert reaches(http, job, "succeeded")["attempt_count"] == 1
        assert http.get(f"/v1/jobs/{job}/result").text == f"{number}"


def test_two_workers_share_the_work_and_leave_each_others_alone(
    composed: Composition, http: httpx.Client, deploy: Deploy
) -> None:
    deploy("shared", 'sleep 12; cat "$INPUT_FILE_PATH"')
    composed.start("worker-2", like="worker")
    try:
        jobs = [submit(http, "shared") for _ in range(4)]
        for job in jobs:
            reaches(http, job, "running")
        for name, like in (("worker", ""), ("worker-2", "worker")):
            assert any((composed.volume(name, "/data", like=like) / "attempts").iterdir()), name
        for job in jobs:
            assert reaches(http, job, "succeeded")["attempt_count"] == 1
    finally:
        assert composed.stop("worker-2") == 0, composed.log("worker-2")


def test_compose_itself_takes_the_file_and_says_what_has_to_be_given(tmp_path: Path) -> None:
    program = build_program(Path(__file__).parent / "compose_file", tmp_path)

    def loaded(**variables: str) -> subprocess.CompletedProcess[str]:
        given = {"PATH": os.environ["PATH"], **variables}
        return subprocess.run(
            [program, FILE], env=given, capture_output=True, text=True, timeout=30, check=False
        )

    taken = loaded(DOCKER_GROUP="999")
    assert taken.returncode == 0, taken.stderr
    services = yaml.safe_load(taken.stdout)["services"]
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert {(port["host_ip"], port["published"]) for port in ports} == {
        ("127.0.0.1", "8080"),
        ("127.0.0.1", "9000"),
    }
    for name, service in services.items():
        assert name == "secrets" or service["healthcheck"], name
        assert name in ("gateway", "worker", "secrets") or re.search(r":.*\d", service["image"]), name
    refused = loaded()
    assert refused.returncode == 1
    assert "DOCKER_GROUP" in refused.stderr


def test_no_secret_stands_in_the_file_or_comes_from_its_environment(composed: Composition) -> None:
    made = [composed.secret(name) for name in ("ours", "minio", "postgres", "rabbitmq")]
    assert {"OSCAR_PASSWORD", "CLAIM_KEY", "EVENTS_TOKEN", "S3_SECRET_KEY"} <= set(made[0])
    assert len(set(re.findall(r"[0-9a-f]{48}", json.dumps(made)))) == 6
    for name, service in read_services({"DOCKER_GROUP": "0"}).items():
        named = re.findall(r"\w*(?:PASS|SECRET|TOKEN|KEY)\w*", " ".join(service.get("environment", {})))
        assert not named, (name, named)
    for name in ("gateway", "worker"):
        log = composed.log(name)
        assert not [value for value in made[0].values() if len(value) > 8 and value in log]
