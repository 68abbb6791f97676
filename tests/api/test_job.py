"""`/job` and `/events`: accepting work."""

import json
from pathlib import Path

import pytest

from tests.api.gateway_rig import EVENTS_TOKEN, Gateway, open_gateway

WEBHOOK = {"Authorization": f"Bearer {EVENTS_TOKEN}"}


def notification(bucket: str, *keys: str, event: str = "s3:ObjectCreated:Put") -> bytes:
    etag = "9dd4e461268c8034f5c8564e155c67a6"
    records = [
        {
            "eventVersion": "2.0",
            "eventSource": "minio:s3",
            "eventTime": "2026-11-24T03:00:00.123Z",
            "eventName": event,
            "s3": {
                "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
                "object": {
                    "key": key,
                    "size": 1,
                    "eTag": etag,
                    "sequencer": "17A2",
                },
            },
        }
        for key in keys
    ]
    return json.dumps({"EventName": event, "Key": f"{bucket}/{keys[0]}", "Records": records}).encode()


async def test_a_job_is_accepted_with_an_empty_body_and_named_in_headers(gateway: Gateway) -> None:
    await gateway.deploy("accepts")
    answer = await gateway.http.post("/job/accepts", content=b'{"a": 1}')
    job = answer.headers["x-oscar-job-id"]
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (201, b"", "0")
    assert job.startswith("accepts-")
    assert answer.headers["location"] == f"/v1/jobs/{job}"
    assert (await gateway.http.get(answer.headers["location"])).json()["id"] == job


async def test_a_key_makes_a_repeat_the_same_job_and_another_request_a_422(gateway: Gateway) -> None:
    await gateway.deploy("keyed")
    first = await gateway.submit("keyed", b"same", **{"Idempotency-Key": '"key 1"'})
    assert await gateway.submit("keyed", b"same", **{"Idempotency-Key": '"key 1"'}) == first
    assert await gateway.submit("keyed", b"same", **{"Idempotency-Key": '"key 2"'}) != first
    other = await gateway.http.post("/job/keyed", content=b"other", headers={"Idempotency-Key": '"key 1"'})
    assert other.status_code == 422
    insane = await gateway.http.post("/job/keyed", headers={"Idempotency-Key": '"open'})
    assert insane.status_code == 400


async def test_a_body_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, working=False, job_body_limit=1000) as gateway:
        await gateway.deploy("small")
        assert (await gateway.http.post("/job/small", content=b"x" * 1001)).status_code == 413
        assert (await gateway.http.post("/job/small", content=b"x" * 1000)).status_code == 201
        assert len((await gateway.http.get("/v1/jobs")).json()["jobs"]) == 1


async def test_a_large_body_reaches_the_script_whole(gateway: Gateway) -> None:
    await gateway.deploy("large", 'wc -c < "$INPUT_FILE_PATH"')
    job = await gateway.submit("large", b"\xff" * (1 << 20))
    await gateway.job(job)
    assert (await gateway.http.get(f"/v1/jobs/{job}/result")).text.strip() == str(1 << 20)


async def test_a_store_asks_whether_its_target_is_there_and_learns_nothing_else(gateway: Gateway) -> None:
    token = await gateway.deploy("probed")
    good = await gateway.bare.head("/job/probed", headers={"Authorization": f"Bearer {token}"})
    assert (good.status_code, good.content) == (200, b"")
    for path in ("/job/probed", "/job/absent"):
        for headers in ({}, {"Authorization": "Bearer " + "0" * 64}):
            assert (await gateway.bare.head(path, headers=headers)).status_code == 401


async def test_a_notification_makes_a_job_a_record_however_often_it_comes(gateway: Gateway) -> None:
    await gateway.deploy("noticed")
    answers = [
        await gateway.http.post("/job/noticed", content=notification("elsewhere", "one+file", "two"))
        for _ in range(3)
    ]
    assert {answer.status_code for answer in answers} == {201}
    (ids,) = {answer.headers["x-oscar-job-id"] for answer in answers}
    assert len(ids.split(", ")) == 2
    assert "location" not in answers[0].headers


async def test_a_notification_of_nothing_to_do_is_accepted_without_a_job(gateway: Gateway) -> None:
    await gateway.deploy("idle")
    removed = notification("elsewhere", "x", event="s3:ObjectRemoved:Delete")
    answer = await gateway.http.post("/job/idle", content=removed)
    assert (answer.status_code, answer.content) == (201, b"")
    assert "x-oscar-job-id" not in answer.headers
    assert "location" not in answer.headers


async def test_the_webhook_finds_every_service_that_takes_the_object(gateway: Gateway) -> None:
    for name in ("hook-a", "hook-b"):
        await gateway.deploy(name, input=[{"storage_provider": "minio", "path": "hooked/in"}])
    answer = await gateway.bare.post("/events", content=notification("hooked", "in/x"), headers=WEBHOOK)
    assert answer.status_code == 200
    assert sorted(job.rpartition("-")[0] for job in answer.json()["accepted"]) == ["hook-a", "hook-b"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"Records": 5}', b"\xff", notification("nobodys", "x")])
async def test_the_webhook_never_refuses_what_it_cannot_read(gateway: Gateway, body: bytes) -> None:
    answer = await gateway.bare.post("/events", content=body, headers=WEBHOOK)
    assert answer.status_code == 200
    assert answer.json()["accepted"] == []


async def test_the_administrators_credential_does_not_open_the_webhook(gateway: Gateway) -> None:
    assert (await gateway.http.post("/events", content=b"{}")).status_code == 401
