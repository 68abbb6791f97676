"""Bad weather: the process ends at any moment, clients hang up, scripts misbehave; nothing accepted is
lost."""

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.gateway_process import IMAGE, GatewayProcess, Reached, wait_for


@pytest.fixture
def own(tmp_path: Path) -> Iterator[GatewayProcess]:
    """A gateway of the test's own, to be killed."""
    with GatewayProcess(tmp_path / "data") as started:
        yield started


def deploy(gateway: Reached, name: str, script: str, **more: object) -> None:
    with gateway.http() as http:
        body = {"name": name, "image": IMAGE, "script": script, **more}
        assert http.post("/system/services", json=body).status_code == 201


def submit(gateway: Reached, name: str, body: bytes = b"") -> str:
    with gateway.http() as http:
        answer = http.post(f"/job/{name}", content=body)
        assert answer.status_code == 201, answer.text
        return answer.headers["X-OSCAR-Job-ID"]


def ended(gateway: Reached, job: str, within_s: float = 20) -> dict[str, object]:
    def final() -> dict[str, object] | None:
        with gateway.http() as http:
            answer: dict[str, object] = http.get(f"/v1/jobs/{job}").json()
        return answer if answer["state"] in ("succeeded", "failed", "dead", "cancelled") else None

    answer = wait_for(final, within_s=within_s)
    assert answer is not None
    return answer


def test_services_jobs_buckets_and_results_survive_a_kill(own: GatewayProcess) -> None:
    rule = [{"storage_provider": "minio", "path": "kept/in"}]
    deploy(own, "kept", 'echo "result of $(cat $INPUT_FILE_PATH)"', input=rule)
    job = submit(own, "kept", b'{"n":1}')
    before = ended(own, job)
    with own.http() as http:
        service = http.get("/system/services/kept").json()
    own.kill()
    own.start()
    with own.http() as http:
        again = http.get("/system/services/kept").json()
        assert again | {"storage_providers": None} == service | {"storage_providers": None}  # a new port
        assert http.get(f"/v1/jobs/{job}").json() == before
        assert http.get(f"/v1/jobs/{job}/result").text == 'result of {"n":1}\n'
        assert [bucket["bucket_name"] for bucket in http.get("/system/buckets").json()] == ["kept"]


def test_a_running_script_outlives_the_gateway_and_is_settled_by_the_next_one(
    own: GatewayProcess, tmp_path: Path
) -> None:
    deploy(own, "long", f"echo run >> {tmp_path}/runs; sleep 1; echo finished")
    job = submit(own, "long")
    wait_for((tmp_path / "runs").exists)
    own.kill()
    own.start()
    answer = ended(own, job)
    assert (answer["state"], len(answer["attempts"])) == ("succeeded", 1)  # type: ignore[arg-type]
    assert (tmp_path / "runs").read_text() == "run\n"


def test_an_upload_whose_event_was_cut_off_is_found_at_the_next_start(own: GatewayProcess) -> None:
    """The ledger is made to forget what it saw: as if the process had died between storing the object and
    accepting its event."""
    deploy(own, "late", "cat $INPUT_FILE_PATH", input=[{"storage_provider": "minio", "path": "late/in"}])
    s3 = own.s3()
    s3.put_object(Bucket="late", Key="in/file", Body=b"do not forget me")
    s3.close()
    with own.http() as http:
        (job,) = wait_for(lambda: http.get("/v1/jobs", params={"state": "succeeded"}).json()["jobs"])
    own.kill()
    for file in own.data_dir.glob("ledger.db*"):
        file.unlink()
    own.start()
    answer = ended(own, job["id"])
    assert (answer["state"], answer["cause"]) == ("succeeded", "backfill")


def test_a_client_that_hangs_up_ends_the_script(process: GatewayProcess, tmp_path: Path) -> None:
    deploy(process, "hang-up", f"echo $$ > {tmp_path}/pid; sleep 60")
    with process.http() as http:
        http.timeout = httpx.Timeout(1.0)
        with pytest.raises(httpx.ReadTimeout):
            http.post("/run/hang-up")
    pid = int((tmp_path / "pid").read_text())
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), within_s=15)


def test_cancelling_works_while_waiting_and_while_running(gateway: Reached) -> None:
    deploy(gateway, "slow", "sleep 60")
    jobs = [submit(gateway, "slow") for _ in range(6)]
    with gateway.http() as http:
        wait_for(
            lambda: (
                len(http.get("/v1/jobs", params={"state": "running", "service": "slow"}).json()["jobs"]) == 4
            )
        )
        waiting = wait_for(
            lambda: http.get("/v1/jobs", params={"state": "waiting", "service": "slow"}).json()["jobs"]
        )
        assert "JOBS_LIVE_LIMIT" in waiting[0]["reason"]
        for job in jobs:
            assert http.delete(f"/v1/jobs/{job}").status_code == 200
    assert {ended(gateway, job)["state"] for job in jobs} == {"cancelled"}


def test_a_failing_script_is_retried_as_its_service_says_and_then_fails(gateway: Reached) -> None:
    policy = {"oscar-gateway/tries": "3", "oscar-gateway/retry-seconds": "0"}
    deploy(gateway, "fails", "echo trying; exit 23", annotations=policy)
    answer = ended(gateway, submit(gateway, "fails"))
    assert (answer["state"], answer["exit_code"]) == ("failed", 23)
    # What the machine interrupted is no try of the script's.
    attempts: list[dict[str, object]] = answer["attempts"]  # type: ignore[assignment]
    assert len([one for one in attempts if one["exit_code"] == 23]) == 3, attempts


def test_a_job_past_its_limit_fails_with_that_reason(gateway: Reached) -> None:
    deploy(gateway, "endless", "sleep 60", annotations={"oscar-gateway/job-seconds": "1"})
    answer = ended(gateway, submit(gateway, "endless"))
    assert answer["state"] == "failed"
    assert "time limit" in str(answer["reason"])


def test_a_stop_while_a_call_runs_lets_it_finish(tmp_path: Path) -> None:
    gateway = GatewayProcess(tmp_path / "data").start()
    deploy(gateway, "finishing", f"touch {tmp_path}/began; sleep 1; echo finished")
    answers: list[str] = []

    def call() -> None:
        with gateway.http() as http:
            answers.append(http.post("/run/finishing").text)

    caller = threading.Thread(target=call)
    caller.start()
    wait_for((tmp_path / "began").exists)
    assert gateway.stop() == 0
    caller.join(timeout=10)
    assert answers == ["finished\n"]


def test_a_deleted_service_takes_its_jobs_along_and_can_be_made_again(gateway: Reached) -> None:
    deploy(gateway, "gone", "sleep 60")
    job = submit(gateway, "gone")
    with gateway.http() as http:
        assert http.delete("/system/services/gone").status_code == 204
        wait_for(lambda: http.get(f"/v1/jobs/{job}").status_code == 404)
    deploy(gateway, "gone", "echo back")
    assert ended(gateway, submit(gateway, "gone"))["state"] == "succeeded"


@pytest.mark.parametrize("bucket_too", [False, True])
def test_an_input_that_is_gone_before_it_is_read_sets_its_job_aside(tmp_path: Path, bucket_too: bool) -> None:
    with GatewayProcess(tmp_path / "data", {"JOBS_LIVE_LIMIT": "1"}) as gateway, gateway.http() as http:
        deploy(gateway, "first", "sleep 60")
        first = submit(gateway, "first")
        rule = [{"storage_provider": "minio", "path": "brief/in"}]
        deploy(gateway, "second", "cat $INPUT_FILE_PATH", input=rule)
        s3 = gateway.s3()
        s3.put_object(Bucket="brief", Key="in/file", Body=b"not for long")
        waiting = {"state": "waiting", "service": "second"}
        (second,) = wait_for(lambda: http.get("/v1/jobs", params=waiting).json()["jobs"])
        s3.delete_object(Bucket="brief", Key="in/file")
        if bucket_too:
            s3.delete_bucket(Bucket="brief")
        s3.close()
        http.delete(f"/v1/jobs/{first}")
        answer = ended(gateway, second["id"])
        assert answer["state"] == "dead"
        assert "the input is gone" in str(answer["reason"])
        other = submit(gateway, "second", b"of another one")
        assert ended(gateway, other)["state"] == "succeeded"


def test_a_service_deleted_while_its_jobs_wait_and_run_leaves_none(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path / "data", {"JOBS_LIVE_LIMIT": "1"}) as gateway, gateway.http() as http:
        deploy(gateway, "doomed", f"echo $$ > {tmp_path}/pid; sleep 60")
        deploy(gateway, "spared", "echo spared")
        jobs = [submit(gateway, "doomed") for _ in range(3)]
        spared = submit(gateway, "spared")
        wait_for((tmp_path / "pid").exists)
        assert http.delete("/system/services/doomed").status_code == 204
        for job in jobs:
            wait_for(lambda job=job: http.get(f"/v1/jobs/{job}").status_code == 404)  # type: ignore[misc]
        assert ended(gateway, spared)["state"] == "succeeded"


def test_an_idempotency_key_gives_one_job(gateway: Reached) -> None:
    deploy(gateway, "once", "cat $INPUT_FILE_PATH")
    with gateway.http() as http:
        headers = {"Idempotency-Key": '"a-key"'}
        answers = [http.post("/job/once", content=b"same", headers=headers) for _ in range(3)]
        assert len({answer.headers["X-OSCAR-Job-ID"] for answer in answers}) == 1
        assert http.post("/job/once", content=b"other", headers=headers).status_code == 422
