"""`kill -9` of the gateway at random moments: what was accepted settles, and nothing runs twice unless it
is counted."""

import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateway_process import GatewayProcess, wait_for

pytestmark = [pytest.mark.kill, pytest.mark.timeout(240)]

JOBS, KILLS = 200, 20
FILES, CHAIN_KILLS = 60, 6
UNSETTLED = "queued,waiting,starting,running"


@pytest.fixture
def moments() -> random.Random:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    return random.Random(seed)


def test_jobs_settle_and_run_once_an_attempt_through_twenty_kills(
    tmp_path: Path, moments: random.Random
) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    script = f'echo run >> "{runs}/$JOB_UUID"; sleep 0.1; cat "$INPUT_FILE_PATH"'
    with GatewayProcess(tmp_path / "data", {"JOBS_LIVE_LIMIT": "8"}) as gateway:
        deploy(gateway, "killed", script)
        accepted: set[str] = set()
        for kill in range(KILLS):
            submit(gateway, accepted, JOBS * (kill + 1) // KILLS)
            strike(gateway, moments)
        jobs = {job["id"]: job for job in settled(gateway)}
        assert set(jobs) == accepted
        with gateway.http() as http:
            for job, told in jobs.items():
                assert told["state"] == "succeeded", told
                assert len((runs / job).read_text().splitlines()) <= told["attempt_count"], told
                assert http.get(f"/v1/jobs/{job}/result").text == "payload"


def test_files_in_a_chain_are_each_processed_once_through_kills(
    tmp_path: Path, moments: random.Random
) -> None:
    copy = 'cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/"'
    with GatewayProcess(tmp_path / "data", {"JOBS_LIVE_LIMIT": "8"}) as gateway:
        deploy(gateway, "link-one", copy, input=[{"path": "chain/a"}], output=[{"path": "chain/b"}])
        deploy(gateway, "link-two", copy, input=[{"path": "chain/b"}], output=[{"path": "chain/c"}])
        for kill in range(CHAIN_KILLS):
            upload(gateway, range(FILES * kill // CHAIN_KILLS, FILES * (kill + 1) // CHAIN_KILLS))
            strike(gateway, moments)
        jobs = list(settled(gateway))
        assert {job["state"] for job in jobs} == {"succeeded"}
        assert Counter(job["service"] for job in jobs) == {"link-one": FILES, "link-two": FILES}
        s3 = gateway.s3()
        assert s3.list_objects_v2(Bucket="chain", Prefix="c/")["KeyCount"] == FILES
        s3.close()


def test_a_held_call_runs_once_and_is_fetched_after_a_kill(tmp_path: Path) -> None:
    go, runs = tmp_path / "go", tmp_path / "runs"
    script = f"echo run >> {runs}; while [ ! -e {go} ]; do sleep 0.05; done; echo done"
    with GatewayProcess(tmp_path / "data") as gateway, ThreadPoolExecutor(1) as threads:
        deploy(gateway, "held", script)

        def call() -> str:
            """What became of the connection."""
            with gateway.http() as http:
                try:
                    return http.post("/run/held", headers={"Prefer": "wait=60"}).text
                except httpx.TransportError:
                    return "cut"

        calling = threads.submit(call)
        wait_for(runs.exists)
        gateway.kill()
        assert calling.result(timeout=20) == "cut"
        gateway.start()
        go.touch()
        with gateway.http() as http:
            (job,) = http.get("/v1/jobs", params={"service": "held"}).json()["jobs"]
            ended = http.get(f"/v1/calls/{job['id']}", headers={"Prefer": "wait=20"}, follow_redirects=True)
            assert (ended.status_code, ended.text) == (200, "done\n")
            assert http.get(f"/v1/jobs/{job['id']}").json()["attempt_count"] == 1
        assert runs.read_text() == "run\n"


def test_at_a_stop_held_calls_are_answered_or_told_where_their_answer_will_be(tmp_path: Path) -> None:
    wait = f'while [ ! -e {tmp_path}/"$name" ]; do sleep 0.05; done'
    script = f'name=$(cat "$INPUT_FILE_PATH"); touch {tmp_path}/"$name.began"; {wait}; echo "done $name"'
    settings = {"STOP_GRACE_S": "8"}
    with GatewayProcess(tmp_path / "data", settings) as gateway, ThreadPoolExecutor(3) as threads:
        deploy(gateway, "held", script)

        def call(name: str) -> httpx.Response:
            with gateway.http() as http:
                return http.post("/run/held", content=name.encode(), headers={"Prefer": "wait=60"})

        calls = [threads.submit(call, name) for name in ("ends-soon", "goes-on")]
        for name in ("ends-soon", "goes-on"):
            wait_for((tmp_path / f"{name}.began").exists)
        stopping = threads.submit(gateway.stop)
        (tmp_path / "ends-soon").touch()
        answered, told = (one.result(timeout=20) for one in calls)
        assert (answered.status_code, answered.text) == (200, "done ends-soon\n")
        assert told.status_code == 202
        assert stopping.result(timeout=20) == 0
        gateway.start()
        (tmp_path / "goes-on").touch()
        with gateway.http() as http:
            where = told.headers["location"]
            ended = http.get(where, headers={"Prefer": "wait=20"}, follow_redirects=True)
        assert (ended.status_code, ended.text) == (200, "done goes-on\n")


def deploy(gateway: GatewayProcess, name: str, script: str, **rules: list[dict[str, str]]) -> None:
    stored = {
        kind: [{"storage_provider": "minio", **rule} for rule in listed] for kind, listed in rules.items()
    }
    with gateway.http() as http:
        body = {"name": name, "image": "none", "script": script, **stored}
        assert http.post("/system/services", json=body).status_code == 201


def submit(gateway: GatewayProcess, accepted: set[str], wanted: int) -> None:
    with gateway.http() as http:
        while len(accepted) < wanted:
            answer = http.post("/job/killed", content=b"cGF5bG9hZA==")
            assert answer.status_code == 201
            accepted.add(answer.headers["X-OSCAR-Job-ID"])


def upload(gateway: GatewayProcess, numbers: range) -> None:
    s3 = gateway.s3()
    for number in numbers:
        s3.put_object(Bucket="chain", Key=f"a/{number}", Body=b"x" * number)
    s3.close()


def strike(gateway: GatewayProcess, moments: random.Random) -> None:
    time.sleep(moments.uniform(0.0, 0.5))  # the moment is what is tested
    gateway.kill()
    gateway.start()


def settled(gateway: GatewayProcess) -> Iterator[dict[str, Any]]:
    """Every job, once none is on its way any more; a chain's next link may follow for a moment after that."""
    with gateway.http() as http:

        def busy() -> bool:
            return bool(http.get("/v1/jobs", params={"state": UNSETTLED, "limit": 1}).json()["jobs"])

        wait_for(lambda: not busy(), within_s=120)
        page: dict[str, Any] = {"next": ""}
        while "next" in page:
            page = http.get("/v1/jobs", params={"limit": 100, "cursor": page["next"]}).json()
            yield from page["jobs"]
