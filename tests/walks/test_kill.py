"""`kill -9` of the gateway at twenty random moments while two hundred jobs run: all settle, none runs twice
unless counted."""

import random
import time
from pathlib import Path

import pytest

from tests.gateway_process import GatewayProcess, wait_for

JOBS = 200
KILLS = 20
SCRIPT = """#!/bin/sh
echo run >> "{runs}/$JOB_UUID"
sleep 0.1
cat "$INPUT_FILE_PATH"
"""


@pytest.mark.kill
@pytest.mark.timeout(180)
def test_jobs_settle_and_run_once_for_each_attempt_through_twenty_kills(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    runs = tmp_path / "runs"
    runs.mkdir()
    gateway = GatewayProcess(tmp_path / "data", {"JOBS_LIVE_LIMIT": "8"}).start()
    with gateway.http() as http:
        body = {"name": "killed", "image": "none", "script": SCRIPT.format(runs=runs)}
        assert http.post("/system/services", json=body).status_code == 201

    accepted: set[str] = set()
    for kill in range(KILLS):
        submit(gateway, accepted, JOBS * (kill + 1) // KILLS)
        time.sleep(moments.uniform(0.0, 0.5))
        gateway.kill()
        gateway.start()

    with gateway.http() as http:
        assert len(accepted) == JOBS

        def unsettled() -> int:
            page = http.get("/v1/jobs", params={"state": "queued,waiting,starting,running", "limit": 1})
            return len(page.json()["jobs"])

        wait_for(lambda: unsettled() == 0, within_s=90)
        for job in sorted(accepted):
            answer = http.get(f"/v1/jobs/{job}").json()
            assert answer["state"] == "succeeded", answer
            executions = len((runs / job).read_text().splitlines())
            assert executions <= len(answer["attempts"]), answer
            assert http.get(f"/v1/jobs/{job}/result").text == "payload"
    assert gateway.stop() == 0


def submit(gateway: GatewayProcess, accepted: set[str], wanted: int) -> None:
    with gateway.http() as http:
        while len(accepted) < wanted:
            answer = http.post("/job/killed", content=b"cGF5bG9hZA==")
            assert answer.status_code == 201
            accepted.add(answer.headers["X-OSCAR-Job-ID"])
