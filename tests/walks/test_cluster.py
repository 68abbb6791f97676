"""What only the cluster form can show: several of each process, ended in the middle, and what scripts meet in
pods."""

import base64
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.gateway_process import IMAGE, wait_for
from tests.servers.installation import RELEASE, Installation

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
FINAL = ("succeeded", "failed", "dead", "cancelled")
FILES = int(os.environ.get("TEST_CLUSTER_FILES", "40"))
"""Two pods each, and a small node makes about one pod a second: 200 take ten minutes."""
COPY = 'cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/"\n'


@pytest.fixture(scope="module")
def s3(installed: Installation) -> Iterator[Any]:
    client = installed.s3()
    yield client
    client.close()


def deploy(installed: Installation, name: str, script: str, **more: Any) -> None:
    definition = {"name": f"pods-{name}", "image": IMAGE, "cpu": "0.1", "memory": "64Mi", "script": script}
    with installed.http() as http:
        answer = http.post("/system/services", json=definition | more)
        assert answer.status_code == 201, answer.text


def submit(installed: Installation, name: str, body: bytes = b"") -> str:
    with installed.http() as http:
        answer = http.post(f"/job/pods-{name}", content=body)
        assert answer.status_code == 201, answer.text
        return str(answer.headers["X-OSCAR-Job-ID"])


def ended(installed: Installation, job: str) -> dict[str, Any]:
    with installed.http() as http:

        def look() -> dict[str, Any] | None:
            shown: dict[str, Any] = http.get(f"/v1/jobs/{job}").json()
            return shown if shown["state"] in FINAL else None

        found = wait_for(look, within_s=30)
        assert found is not None
        return found


def in_state(installed: Installation, job: str, state: str) -> None:
    with installed.http() as http:
        wait_for(lambda: http.get(f"/v1/jobs/{job}").json()["state"] == state, within_s=30)


def test_calls_are_answered_from_zero_warm_and_twenty_at_once(installed: Installation) -> None:
    deploy(installed, "called", 'tr a-z A-Z < "$INPUT_FILE_PATH"')

    def call(number: int) -> str:
        body = base64.b64encode(f"call {number}".encode())
        with installed.http() as http:
            answer = http.post("/run/pods-called", content=body)
            assert answer.status_code == 200, answer.text
            return str(answer.text)

    assert call(0) == "CALL 0"
    assert call(1) == "CALL 1"
    with ThreadPoolExecutor(20) as callers:
        assert sorted(callers.map(call, range(20))) == sorted(f"CALL {number}" for number in range(20))


def test_a_call_that_takes_long_is_handed_over_and_fetched(installed: Installation) -> None:
    deploy(installed, "long", "sleep 5; echo done", annotations={"oscar-gateway/direct-seconds": "0"})
    with installed.http() as http:
        told = http.post("/run/pods-long", headers={"Prefer": "wait=1"})
        assert told.status_code == 202
        status = told.headers["location"]
        wait_for(lambda: http.get(status, headers={"Prefer": "wait=20"}).status_code == 303, within_s=30)
        assert http.get(f"{status}/answer").text == "done\n"


@pytest.mark.parametrize(
    ("name", "script", "more", "said"),
    [
        ("exits", "echo told; exit 23", {}, "exit status 23"),
        ("eats", "dd if=/dev/zero of=/dev/null bs=200M count=1", {}, "memory limit"),
        ("endless", "sleep 600", {"annotations": {"oscar-gateway/job-seconds": "3"}}, "time limit"),
    ],
)
def test_a_script_that_fails_says_how(
    installed: Installation, name: str, script: str, more: dict[str, Any], said: str
) -> None:
    deploy(installed, name, script, **more)
    job = ended(installed, submit(installed, name))
    assert job["state"] == "failed"
    assert said in job["reason"]


def test_cancelling_works_while_waiting_and_while_running(installed: Installation) -> None:
    deploy(installed, "slow", "sleep 600")
    jobs = [submit(installed, "slow") for _ in range(6)]
    with installed.http() as http:
        query = {"service": "pods-slow", "state": "running"}
        wait_for(lambda: len(http.get("/v1/jobs", params=query).json()["jobs"]) == 4, within_s=30)
        waiting = http.get("/v1/jobs", params={"service": "pods-slow", "state": "waiting"}).json()["jobs"]
        assert "JOBS_LIVE_LIMIT" in waiting[0]["reason"]
        for job in jobs:
            assert http.delete(f"/v1/jobs/{job}").status_code == 200
    assert {ended(installed, job)["state"] for job in jobs} == {"cancelled"}


def test_a_deleted_service_takes_its_running_job_along_and_can_be_made_again(installed: Installation) -> None:
    deploy(installed, "gone", "sleep 600")
    job = submit(installed, "gone")
    in_state(installed, job, "running")
    with installed.http() as http:
        assert http.delete("/system/services/pods-gone").status_code == 204
        wait_for(lambda: http.get(f"/v1/jobs/{job}").status_code == 404, within_s=30)
    deploy(installed, "gone", "echo back")
    assert ended(installed, submit(installed, "gone"))["state"] == "succeeded"


def test_files_are_all_processed_once_while_processes_are_ended_in_the_middle(
    installed: Installation, s3: Any
) -> None:
    """Two workers and two gateways, each pod of both killed once while the files are worked on."""
    deploy(installed, "first", COPY, input=[{"path": "many/in"}], output=[{"path": "many/between"}])
    deploy(installed, "second", COPY, input=[{"path": "many/between"}], output=[{"path": "many/out"}])
    names = [f"{number:03}.txt" for number in range(FILES)]
    for name in names:
        s3.put_object(Bucket="many", Key=f"in/{name}", Body=name.encode())
    for process in ("worker", "gateway"):
        end_every_pod(installed, process)

    def out() -> set[str]:
        listed = s3.list_objects_v2(Bucket="many", Prefix="out/").get("Contents", [])
        return {entry["Key"].removeprefix("out/") for entry in listed}

    wait_for(lambda: out() == set(names), within_s=80)
    with installed.http() as http:
        for service in ("pods-first", "pods-second"):
            jobs = http.get("/v1/jobs", params={"service": service, "limit": 1000}).json()["jobs"]
            assert len(jobs) == len(names)
            wait_for(
                lambda service=service: (
                    {  # type: ignore[misc]
                        job["state"]
                        for job in http.get("/v1/jobs", params={"service": service, "limit": 1000}).json()[
                            "jobs"
                        ]
                    }
                    == {"succeeded"}
                ),
                within_s=30,
            )


def end_every_pod(installed: Installation, process: str) -> None:
    """At once, as a node that is lost does it; the cluster starts others."""
    label = f"app.kubernetes.io/component={process}"
    installed.kubectl(
        *("-n", installed.namespace, "delete", "pods", "-l", label),
        *("--grace-period=0", "--force", "--wait=false"),
    )
    time.sleep(1)  # no condition: the next ones are to be hit at another moment of their work
    installed.kubectl(
        *("-n", installed.namespace, "rollout", "status", f"deployment/{RELEASE}-{process}", "--timeout=180s")
    )
