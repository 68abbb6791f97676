"""Calls that are answered as jobs: held, handed over, fetched; executed once, whichever way."""

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.actions.learn_durations import keep_durations, learn_duration, recall_durations
from tests.api.gateway_rig import Gateway, eventually, exists, leave_once, open_gateway, scope

AS_JOB = {"oscar-gateway/direct-seconds": "0"}
SAME = ["content-type", "content-length"]
SCRIPTS = {
    "text": "echo hello",
    "nothing": "true",
    "file": 'head -c 100000 /dev/urandom | cksum > "$TMP_OUTPUT_DIR/one"; printf ab > "$TMP_OUTPUT_DIR/one"',
    "files": 'echo 1 > "$TMP_OUTPUT_DIR/one"; echo 2 > "$TMP_OUTPUT_DIR/two"',
    "input": 'cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/copy"',
    "fails": "echo what went wrong; exit 3",
    "fails-silently": "exit 3",
    "fails-with-file": 'echo told; echo lost > "$TMP_OUTPUT_DIR/one"; exit 1',
}


def wish(**preferences: object) -> dict[str, str]:
    said = [
        name.replace("_", "-") if value is True else f"{name}={value}" for name, value in preferences.items()
    ]
    return {"Prefer": ", ".join(said)}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
@pytest.mark.parametrize("accept", ["*/*", "application/octet-stream"])
async def test_the_answer_is_byte_for_byte_the_direct_one(gateway: Gateway, script: str, accept: str) -> None:
    name = secrets.token_hex(4)
    await gateway.deploy(f"direct-{name}", script)
    await gateway.deploy(f"job-{name}", script, annotations=AS_JOB, output=[{"path": f"{name}/out"}])
    body, headers = base64.b64encode(bytes(range(256)) * 50), {"Accept": accept}
    direct = await gateway.http.post(f"/run/direct-{name}", content=body, headers=headers)
    held = await gateway.http.post(f"/run/job-{name}", content=body, headers=headers)
    assert (held.status_code, held.content) == (direct.status_code, direct.content)
    assert [held.headers.get(name) for name in SAME] == [direct.headers.get(name) for name in SAME]
    assert direct.headers["x-oscar-route"] == "direct; reason=short"
    assert held.headers["x-oscar-route"] == "job; reason=service"
    assert held.headers["server-timing"].startswith("queue;dur=")
    fetched = await gateway.http.get(f"/v1/calls/{held.headers['x-oscar-job-id']}/answer", headers=headers)
    assert (fetched.status_code, fetched.content) == (direct.status_code, direct.content)
    assert (await gateway.http.get(f"/system/buckets/{name}")).json()["objects"] == []


async def test_a_call_that_outlasts_its_wait_is_handed_over_and_fetched_by_the_same_token(
    gateway: Gateway, tmp_path: Path
) -> None:
    until_told = f"while [ ! -e {tmp_path}/go ]; do sleep 0.05; done"
    token = await gateway.deploy("held-long", f"echo run >> {tmp_path}/runs; {until_told}; echo done")
    mine = {"Authorization": f"Bearer {token}"}
    told = await gateway.bare.post("/run/held-long", headers=mine | wish(wait=1))
    assert told.status_code == 202
    assert told.headers["x-oscar-route"] == "job; reason=preferred"
    assert told.headers["preference-applied"] == "wait=1"
    assert int(told.headers["retry-after"]) >= 1
    status = told.headers["location"]
    assert told.json()["links"]["status"] == status
    standing = await gateway.bare.get(status, headers=mine)
    assert (standing.status_code, standing.json()["state"]) == (200, "running")
    assert (await gateway.bare.get(f"{status}/answer", headers=mine)).status_code == 409
    (tmp_path / "go").touch()
    ended = await gateway.bare.get(status, headers=mine | wish(wait=10))
    assert (ended.status_code, ended.headers["location"]) == (303, f"{status}/answer")
    assert (await gateway.bare.get(ended.headers["location"], headers=mine)).text == "done\n"
    assert (tmp_path / "runs").read_text() == "run\n"


async def test_only_who_may_call_the_service_may_fetch(gateway: Gateway) -> None:
    await gateway.deploy("held-mine", "echo secret")
    other = await gateway.deploy("held-other")
    told = await gateway.http.post("/run/held-mine", headers=wish(respond_async=True))
    for path in (told.headers["location"], told.headers["location"] + "/answer", "/v1/calls/absent"):
        answer = await gateway.bare.get(path, headers={"Authorization": f"Bearer {other}"})
        assert answer.status_code == 401
    assert (await gateway.http.get("/v1/calls/absent")).status_code == 404


async def test_asynchronous_is_answered_at_once(gateway: Gateway) -> None:
    await gateway.deploy("held-later", "sleep 0.2; echo done")
    told = await gateway.http.post("/run/held-later", headers=wish(respond_async=True))
    assert (told.status_code, told.headers["preference-applied"]) == (202, "respond-async")
    ended = await gateway.http.get(told.headers["location"], headers=wish(wait=10), follow_redirects=True)
    assert ended.text == "done\n"


async def test_a_script_of_a_held_call_past_its_limit_is_a_504(gateway: Gateway) -> None:
    annotations = AS_JOB | {"oscar-gateway/job-seconds": "1", "oscar-gateway/tries": "3"}
    await gateway.deploy("held-slow", "sleep 60", annotations=annotations)
    answer = await gateway.http.post("/run/held-slow")
    assert answer.status_code == 504
    assert "the limit of 1 s is set by annotations.oscar-gateway/job-seconds" in answer.text
    (job,) = (await gateway.http.get("/v1/jobs", params={"service": "held-slow"})).json()["jobs"]
    assert job["attempt_count"] == 1


async def test_the_same_key_finds_the_same_call(gateway: Gateway, tmp_path: Path) -> None:
    await gateway.deploy("held-keyed", f"echo run >> {tmp_path}/runs; echo done", annotations=AS_JOB)
    headers = {"Idempotency-Key": '"one"'}
    answers = [await gateway.http.post("/run/held-keyed", headers=headers) for _ in range(2)]
    assert [answer.text for answer in answers] == ["done\n", "done\n"]
    assert (tmp_path / "runs").read_text() == "run\n"


async def left(gateway: Gateway, service: str, tmp_path: Path, headers: list[tuple[bytes, bytes]]) -> str:
    """A client that hangs up once its held call runs; the job's id."""
    asking = scope(gateway, f"/run/{service}")
    asking["headers"] += headers
    async with asyncio.timeout(5):
        assert await leave_once(gateway, asking, tmp_path / "began") == []
    job: str = (await gateway.http.get("/v1/jobs", params={"service": service})).json()["jobs"][0]["id"]
    return job


async def test_a_client_that_hangs_up_ends_its_held_call(gateway: Gateway, tmp_path: Path) -> None:
    await gateway.deploy("held-left", f"touch {tmp_path}/began; sleep 20", annotations=AS_JOB)
    job = await left(gateway, "held-left", tmp_path, [])
    assert (await gateway.job(job))["state"] == "cancelled"
    assert (await gateway.http.get(f"/v1/calls/{job}/answer")).status_code == 409


async def test_a_client_that_can_come_back_leaves_its_call_running(gateway: Gateway, tmp_path: Path) -> None:
    await gateway.deploy("held-back", f"touch {tmp_path}/began; sleep 0.5; echo done", annotations=AS_JOB)
    job = await left(gateway, "held-back", tmp_path, [(b"idempotency-key", b'"k"')])
    assert (await gateway.job(job))["state"] == "succeeded"
    assert (await gateway.http.post("/run/held-back", headers={"Idempotency-Key": '"k"'})).text == "done\n"


async def test_what_calls_take_is_learned_and_kept_across_restarts(gateway: Gateway) -> None:
    await gateway.deploy("held-learned", "echo done")
    deployed = gateway.backends.registry.get("held-learned")
    assert deployed is not None
    for _ in range(3):
        learn_duration(gateway.backends, deployed.uid, 500.0)
    await keep_durations(gateway.backends)
    gateway.backends.learned.accounts.clear()
    assert (await gateway.http.post("/run/held-learned")).headers["x-oscar-route"] == "direct; reason=short"
    await recall_durations(gateway.backends)
    answer = await gateway.http.post("/run/held-learned")
    assert (answer.text, answer.headers["x-oscar-route"]) == ("done\n", "job; reason=recent")


async def test_calls_cut_at_their_limit_make_the_next_ones_jobs(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, direct_limit_s=0.5, call_limit_s=1) as gateway:
        await gateway.deploy("held-slow", "sleep 2; echo done")
        cut = await asyncio.gather(*(gateway.http.post("/run/held-slow") for _ in range(3)))
        assert {answer.status_code for answer in cut} == {504}
        assert "CALL_LIMIT_S" in cut[0].text and "/job/held-slow" in cut[0].text
        answer = await gateway.http.post("/run/held-slow")
        assert (answer.status_code, answer.text) == (200, "done\n")


async def test_a_large_body_makes_it_a_job(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, direct_body_limit=1000) as gateway:
        await gateway.deploy("large")
        answer = await gateway.http.post("/run/large", content=b"{" + b" " * 1000)
        assert answer.headers["x-oscar-route"] == "job; reason=body"
        assert len(answer.content) == 1001


@pytest.fixture
async def narrow(tmp_path: Path) -> AsyncIterator[Gateway]:
    """One place for each service's calls, and no seat to wait on."""
    limits: dict[str, Any] = {"service_calls_limit": 1, "service_calls_waiting": 0, "caller_calls_limit": 2}
    async with open_gateway(tmp_path / "data", **limits) as gateway:
        yield gateway


async def test_one_services_calls_do_not_take_anothers_places(narrow: Gateway, tmp_path: Path) -> None:
    await narrow.deploy("quick", "echo done")
    token = await narrow.deploy("held-slow", f"touch {tmp_path}/began; sleep 20")
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        slow = tasks.create_task(
            narrow.bare.post("/run/held-slow", headers={"Authorization": f"Bearer {token}"})
        )
        await eventually(lambda: exists(tmp_path / "began"))
        refused = await narrow.http.post("/run/held-slow")
        served = await narrow.http.post("/run/quick")
        slow.cancel()
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert served.text == "done\n"


async def test_one_callers_open_calls_are_bounded(narrow: Gateway, tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        await narrow.deploy(name, f"touch {tmp_path}/{name}; sleep 20")
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        open_calls = [tasks.create_task(narrow.http.post(f"/run/{name}")) for name in ("one", "two")]
        for name in ("one", "two"):
            await eventually(lambda name=name: exists(tmp_path / name))  # type: ignore[misc]
        refused = await narrow.http.post("/run/three")
        for call in open_calls:
            call.cancel()
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    assert not (tmp_path / "three").exists()


async def test_a_call_waits_for_a_place_when_there_is_a_seat(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, service_calls_limit=1, service_calls_waiting=1) as gateway:
        await gateway.deploy("turns", "sleep 0.2; echo done")
        answers = await asyncio.gather(*(gateway.http.post("/run/turns") for _ in range(3)))
        assert sorted(answer.status_code for answer in answers) == [200, 200, 503]


async def test_a_crowd_of_slow_calls_leaves_others_their_share_of_this_machine(tmp_path: Path) -> None:
    async with open_gateway(tmp_path / "data", calls_live_limit=4, calls_waiting_limit=16) as gateway:
        await gateway.deploy("slow", f"echo began >> {tmp_path}/began; sleep 20")
        await gateway.deploy("quick", "echo done")
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            crowd = [tasks.create_task(gateway.http.post("/run/slow")) for _ in range(12)]

            async def all_its_share() -> bool:
                return await exists(tmp_path / "began") and (tmp_path / "began").read_text().count("\n") == 3

            await eventually(all_its_share)
            for _ in range(3):
                assert (await gateway.http.post("/run/quick")).text == "done\n"
            assert (tmp_path / "began").read_text().count("\n") == 3
            for call in crowd:
                call.cancel()
