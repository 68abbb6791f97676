"""`/system/logs`: a service's jobs as OSCAR lists them, their logs, and the access lines."""

import ast
import re
from pathlib import Path

import pytest

from tests.api.gateway_rig import Gateway, open_gateway

RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


async def listed(gateway: Gateway, service: str, query: str = "") -> dict[str, dict[str, str]]:
    answer = await gateway.http.get(f"/system/logs/{service}?{query}")
    assert answer.status_code == 200
    jobs: dict[str, dict[str, str]] = answer.json()["jobs"]
    return jobs


async def test_a_finished_job_is_listed_with_its_times(gateway: Gateway) -> None:
    await gateway.deploy("listed-job")
    job = await gateway.submit("listed-job")
    await gateway.job(job)
    (shown,) = (await listed(gateway, "listed-job")).values()
    assert list(shown) == ["status", "creation_time", "start_time", "finish_time"]
    assert shown["status"] == "Succeeded"
    assert all(RFC_3339.fullmatch(shown[key]) for key in list(shown)[1:])


async def test_a_waiting_job_has_no_times_that_are_not_yet(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, working=False) as gateway:
        await gateway.deploy("waits")
        await gateway.submit("waits")
        (shown,) = (await listed(gateway, "waits")).values()
    assert list(shown) == ["status", "creation_time"]
    assert shown["status"] == "Pending"


async def test_the_list_is_a_python_literal_too(gateway: Gateway) -> None:
    await gateway.deploy("literal")
    await gateway.job(await gateway.submit("literal"))
    answer = await gateway.http.get("/system/logs/literal")
    assert ast.literal_eval(answer.text) == answer.json()


async def test_pages_follow_each_other_without_gaps_newest_first(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, working=False, job_listing_limit=3) as gateway:
        await gateway.deploy("paged")
        jobs = [await gateway.submit("paged") for _ in range(7)]
        found, page = [], ""
        while True:
            answer = (await gateway.http.get("/system/logs/paged", params={"page": page})).json()
            found += list(answer["jobs"])
            assert len(answer["jobs"]) <= 3
            if "next_page" not in answer:
                break
            page = answer["next_page"]
        assert found == jobs[::-1]
        assert (await gateway.http.get("/system/logs/paged?page=made-up")).status_code == 400


async def test_only_jobs_of_the_asked_states_are_listed(gateway: Gateway) -> None:
    await gateway.deploy("filtered")
    job = await gateway.submit("filtered")
    await gateway.job(job)
    assert list(await listed(gateway, "filtered", "status=Succeeded,running")) == [job]
    assert list(await listed(gateway, "filtered", "status=failed")) == []


async def test_a_log_is_text_with_times_when_asked_for(gateway: Gateway) -> None:
    await gateway.deploy("talks", "echo out; echo err >&2")
    job = await gateway.submit("talks")
    await gateway.job(job)
    plain = await gateway.http.get(f"/system/logs/talks/{job}")
    assert plain.headers["content-type"].startswith("text/plain")
    assert sorted(plain.text.splitlines()) == ["err", "out"]
    timed = (await gateway.http.get(f"/system/logs/talks/{job}?timestamps=true")).text.splitlines()
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z (out|err)", line) for line in timed)


async def test_a_job_of_another_service_is_404(gateway: Gateway) -> None:
    await gateway.deploy("mine")
    await gateway.deploy("other")
    job = await gateway.submit("mine")
    await gateway.job(job)
    for path in (f"/system/logs/other/{job}", "/system/logs/mine/mine-absent", f"/system/logs/absent/{job}"):
        assert (await gateway.http.get(path)).status_code == 404
        assert (await gateway.http.delete(path)).status_code == 404
    assert (await gateway.http.get("/system/logs/absent")).status_code == 404
    assert (await gateway.http.delete("/system/logs/absent")).status_code == 404


async def test_deleting_leaves_failed_and_running_jobs_unless_all_are_meant(gateway: Gateway) -> None:
    await gateway.deploy("cleared", 'exec /bin/sh "$INPUT_FILE_PATH"')
    good, bad = await gateway.submit("cleared", b"exit 0 #"), await gateway.submit("cleared", b"exit 1 #")
    running = await gateway.submit("cleared", b"sleep 60 #")
    await gateway.job(good)
    await gateway.job(bad)
    await gateway.in_state(running, "running")
    answer = await gateway.http.delete("/system/logs/cleared")
    assert (answer.status_code, answer.content) == (204, b"")
    assert set(await listed(gateway, "cleared")) == {bad, running}
    assert (await gateway.http.delete("/system/logs/cleared?all=true")).status_code == 204
    assert await listed(gateway, "cleared") == {}


async def test_a_job_is_deleted_once_also_while_it_runs(gateway: Gateway) -> None:
    await gateway.deploy("deleted", "sleep 60")
    job = await gateway.submit("deleted")
    await gateway.in_state(job, "running")
    assert (await gateway.http.delete(f"/system/logs/deleted/{job}")).status_code == 204
    assert (await gateway.http.delete(f"/system/logs/deleted/{job}")).status_code == 404
    assert (await gateway.http.get(f"/v1/jobs/{job}")).status_code == 404


async def test_calls_and_jobs_leave_their_lines(gateway: Gateway) -> None:
    token = await gateway.deploy("lines", "echo")
    await gateway.http.post("/run/lines")
    await gateway.bare.post("/job/lines", headers={"Authorization": f"Bearer {token}"})
    await gateway.bare.post("/run/lines")
    await gateway.http.get("/system/info")
    entries = (await gateway.http.get("/system/logs")).json()["logs"]
    mine = [entry for entry in entries if entry["path"].endswith("/lines")]
    assert [(one["method"], one["path"], one["status"], one["user"]) for one in mine] == [
        ("POST", "/run/lines", 200, "oscar"),
        ("POST", "/job/lines", 201, "nil"),
        ("POST", "/run/lines", 401, "nil"),
    ]
    assert {one["client_ip"] for one in mine} == {"10.0.0.7"}
    assert all(one["raw"].startswith("[GIN-EXECUTIONS-LOGGER] ") for one in mine)


@pytest.mark.parametrize(("query", "empty"), [("timestamps=true", False), ("previous=true", True)])
async def test_the_lines_come_with_times_or_of_the_file_before(
    gateway: Gateway, query: str, empty: bool
) -> None:
    await gateway.http.post("/run/nothing")
    entries = (await gateway.http.get(f"/system/logs?{query}")).json()["logs"]
    assert (entries == []) is empty
    assert all(entry["raw"].startswith(entry["timestamp"]) for entry in entries)
