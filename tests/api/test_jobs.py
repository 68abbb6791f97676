"""`/v1/jobs`: why each job is in its state, its result, its log, and its end."""

import asyncio
import base64
import io
import zipfile
from pathlib import Path

import pytest

from tests.api.gateway_rig import Gateway, eventually, open_gateway

ATTEMPT_KEYS = ["number", "claimed_at", "started_at", "finished_at", "reason", "exit_code", "detail"]


async def test_a_job_is_told_with_its_attempts(gateway: Gateway) -> None:
    await gateway.deploy("told", "echo no; exit 4")
    shown = await gateway.job(await gateway.submit("told", b"123"))
    assert (shown["state"], shown["oscar_status"], shown["exit_code"]) == ("failed", "Failed", 4)
    assert "exit status 4" in shown["reason"]
    assert shown["input"] == {"size_bytes": 3}
    assert shown["links"]["log"] == f"/v1/jobs/{shown['id']}/log"
    (attempt,) = shown["attempts"]
    assert list(attempt) == ATTEMPT_KEYS
    assert (attempt["number"], attempt["reason"], attempt["exit_code"]) == (1, "exited", 4)


async def test_waiting_for_the_end_answers_at_the_end(gateway: Gateway, tmp_path: Path) -> None:
    await gateway.deploy("ends", f"while [ ! -e {tmp_path}/go ]; do sleep 0.02; done")
    job = await gateway.submit("ends")
    async with asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(gateway.http.get(f"/v1/jobs/{job}", headers={"Prefer": "wait=10"}))
        await gateway.in_state(job, "running")
        assert not asked.done()
        (tmp_path / "go").touch()
    assert asked.result().json()["state"] == "succeeded"
    assert asked.result().headers["preference-applied"] == "wait=10"
    assert "Prefer" in asked.result().headers["vary"]


async def test_waiting_is_bounded_and_other_preferences_are_passed_over(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, working=False) as gateway:
        await gateway.deploy("waits")
        job = await gateway.submit("waits")
        short = await gateway.http.get(f"/v1/jobs/{job}", headers={"Prefer": "wait=0"})
        other = await gateway.http.get(f"/v1/jobs/{job}", headers={"Prefer": "return=minimal"})
        await gateway.http.delete(f"/v1/jobs/{job}")
        long = await gateway.http.get(f"/v1/jobs/{job}", headers={"Prefer": "wait=99999"})
    assert (short.json()["state"], short.headers["preference-applied"]) == ("queued", "wait=0")
    assert "preference-applied" not in other.headers
    assert long.headers["preference-applied"] == "wait=60"


async def test_jobs_are_found_by_service_state_cause_and_time(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, working=False) as gateway:
        await gateway.deploy("first")
        await gateway.deploy("second")
        one, two, three = [await gateway.submit(name) for name in ("first", "second", "second")]
        await gateway.http.delete(f"/v1/jobs/{two}")
        at = (await gateway.http.get(f"/v1/jobs/{three}")).json()["created_at"]

        async def found(query: str) -> list[str]:
            answer = await gateway.http.get(f"/v1/jobs?{query}")
            assert answer.status_code == 200, answer.text
            return [job["id"] for job in answer.json()["jobs"]]

        assert await found("") == [three, two, one]
        assert await found("service=second") == [three, two]
        assert await found("service=absent") == []
        assert await found("state=cancelled") == [two]
        assert await found("state=queued&state=cancelled,failed") == [three, two, one]
        assert await found("cause=request") == [three, two, one]
        assert await found("cause=event") == []
        assert await found("created_from=2030-01-01T00:00:00Z") == []
        assert three in await found(f"created_from={at}")
        assert await found("created_to=2020-01-01T00:00:00%2B02:00") == []


async def test_the_list_goes_on_at_its_cursor(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, working=False) as gateway:
        await gateway.deploy("many")
        jobs = [await gateway.submit("many") for _ in range(5)]
        first = (await gateway.http.get("/v1/jobs?limit=2")).json()
        await gateway.submit("many")
        second = (await gateway.http.get(f"/v1/jobs?limit=9&cursor={first['next']}")).json()
    assert [job["id"] for job in first["jobs"] + second["jobs"]] == jobs[::-1]
    assert "next" not in second


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("state=lost", "state"),
        ("cause=magic", "cause"),
        ("created_from=yesterday", "created_from"),
        ("created_to=2026-01-01T00:00:00", "created_to"),
        ("limit=0", "limit"),
        ("limit=1e3", "limit"),
        ("cursor=%00", "cursor"),
    ],
)
async def test_a_filter_that_makes_no_sense_is_named(gateway: Gateway, query: str, field: str) -> None:
    answer = await gateway.http.get(f"/v1/jobs?{query}")
    assert (answer.status_code, answer.json()["field"]) == (400, field)


@pytest.mark.parametrize("tail", ["", "/result", "/log"])
async def test_a_job_there_is_not_is_404(gateway: Gateway, tail: str) -> None:
    for job in ("absent", "%00", "a" * 5000, "ñ"):
        answer = await gateway.http.get(f"/v1/jobs/{job}{tail}")
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")
    assert (await gateway.http.delete("/v1/jobs/absent")).status_code == 404


async def test_a_result_is_what_a_call_would_have_answered(gateway: Gateway) -> None:
    await gateway.deploy("file", 'printf "\\001\\377" > "$TMP_OUTPUT_DIR/a ñ.bin"')
    job = await gateway.submit("file")
    await gateway.job(job)
    encoded = await gateway.http.get(f"/v1/jobs/{job}/result")
    assert (encoded.status_code, base64.b64decode(encoded.text)) == (200, b"\x01\xff")
    assert encoded.headers["x-oscar-job-state"] == "succeeded"
    raw = await gateway.http.get(f"/v1/jobs/{job}/result", headers={"Accept": "application/octet-stream"})
    assert raw.content == b"\x01\xff"
    assert raw.headers["content-type"] == "application/octet-stream"
    assert raw.headers["content-disposition"] == (
        "attachment; filename=\"a _.bin\"; filename*=UTF-8''a%20%C3%B1.bin"
    )


async def test_several_files_are_a_zip(gateway: Gateway) -> None:
    await gateway.deploy("zips", 'cd "$TMP_OUTPUT_DIR"; echo 1 > one; mkdir sub; echo 2 > sub/two')
    job = await gateway.submit("zips")
    await gateway.job(job)
    text = (await gateway.http.get(f"/v1/jobs/{job}/result")).text
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(text))) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {"one": b"1\n", "sub/two": b"2\n"}


async def test_a_failed_jobs_text_is_kept_and_its_state_told(gateway: Gateway) -> None:
    await gateway.deploy("text", "echo so far; exit 1")
    job = await gateway.submit("text")
    await gateway.job(job)
    answer = await gateway.http.get(f"/v1/jobs/{job}/result")
    assert (answer.status_code, answer.text) == (200, "so far\n")
    assert answer.headers["x-oscar-job-state"] == "failed"


async def test_an_unfinished_jobs_result_is_a_conflict(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, working=False) as gateway:
        await gateway.deploy("unfinished")
        job = await gateway.submit("unfinished")
        answer = await gateway.http.get(f"/v1/jobs/{job}/result")
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/conflict")
        assert (await gateway.http.get(f"/v1/jobs/{job}/log")).status_code == 404


async def test_the_log_of_a_job_that_runs_is_what_there_is_so_far(gateway: Gateway, tmp_path: Path) -> None:
    wait = f"while [ ! -e {tmp_path}/go ]; do sleep 0.02; done"
    await gateway.deploy("so-far", f"echo begun; touch {tmp_path}/begun; {wait}; echo ended")
    job = await gateway.submit("so-far")
    await gateway.in_state(job, "running")

    async def begun() -> bool:
        return "begun" in (await gateway.http.get(f"/v1/jobs/{job}/log")).text

    assert await eventually(begun)
    (tmp_path / "go").touch()
    await gateway.job(job)
    assert (await gateway.http.get(f"/v1/jobs/{job}/log")).text == "begun\nended\n"


async def test_a_followed_log_has_every_line_and_the_end(gateway: Gateway) -> None:
    await gateway.deploy("followed", "echo one; printf 'two\\r\\n'; echo three >&2; sleep 0.7; echo four")
    job = await gateway.submit("followed")
    answer = await gateway.http.get(f"/v1/jobs/{job}/log?follow=true")
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [event for event in answer.text.split("\n\n") if event and event != ":"]
    lines = [event.removeprefix("data: ") for event in events if event.startswith("data: ")]
    assert sorted(lines) == ["four", "one", "three", "two"]
    assert lines[-1] == "four"
    assert "event: attempt\ndata: 1" in events
    assert events[-1] == 'event: end\ndata: {"state":"succeeded","exit_code":0}'


async def test_cancelling_is_idempotent_wherever_the_job_is(gateway: Gateway) -> None:
    await gateway.deploy("cancels", "sleep 60")
    job = await gateway.submit("cancels")
    await gateway.in_state(job, "running")
    first = await gateway.http.delete(f"/v1/jobs/{job}")
    assert (first.status_code, first.json()["cancel_requested"]) == (200, True)
    assert (await gateway.job(job))["state"] == "cancelled"
    again = await gateway.http.delete(f"/v1/jobs/{job}")
    assert (again.status_code, again.json()["state"]) == (200, "cancelled")
