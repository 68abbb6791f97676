"""What a store sends and nobody can read is kept with the reason, and does not come again."""

import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.actions.keep_unreadable import KEPT_LIMIT, PREFIX, expire_unreadable
from gateway.backends.objects.protocol import OWN_BUCKET
from gateway.domain.event import StoredObject
from tests.api.gateway_rig import EVENTS_TOKEN, Gateway

BEARER = {"Authorization": f"Bearer {EVENTS_TOKEN}"}
HALF_BAD = json.dumps({"Records": [{"eventName": "s3:ObjectCreated:Put", "s3": "none"}]}).encode()


async def kept(gateway: Gateway) -> tuple[StoredObject, ...]:
    return (await gateway.backends.objects.list(OWN_BUCKET, prefix=PREFIX)).objects


@pytest.mark.parametrize("body", [b"", b"not JSON", b'{"Records": 7}', b'{"Records": ["\xff"]}', HALF_BAD])
async def test_it_is_kept_once_however_often_it_comes(idle: Gateway, body: bytes) -> None:
    for _ in range(3):
        answer = await idle.bare.post("/events", content=body, headers=BEARER)
        assert answer.status_code == 200
    (one,) = await kept(idle)
    content = b"".join([chunk async for chunk in idle.backends.objects.read(OWN_BUCKET, one.key)])
    told = json.loads(content)
    assert told["why"]
    assert told["size_bytes"] == len(body)
    assert told["body"] == body.decode(errors="backslashreplace")


async def test_of_one_that_is_far_too_large_the_beginning_is_kept_at_once(idle: Gateway) -> None:
    async def body() -> AsyncIterator[bytes]:
        """10 MB without a declared length."""
        yield b'{"Records": ['
        for _ in range(100):
            yield b" " * 100_000

    began = time.monotonic()
    answer = await idle.bare.post("/events", content=body(), headers=BEARER)
    assert answer.status_code == 200
    assert "BODY_LIMIT" in answer.json()["unreadable"]
    assert time.monotonic() - began < 1
    (one,) = await kept(idle)
    content = b"".join([chunk async for chunk in idle.backends.objects.read(OWN_BUCKET, one.key)])
    told = json.loads(content)
    assert (told["size_bytes"], len(told["body"])) == (10_000_013, KEPT_LIMIT)
    assert "BODY_LIMIT" in told["why"]


async def test_a_declared_length_far_too_large_is_no_refusal_either(idle: Gateway) -> None:
    answer = await idle.bare.post("/events", content=b"x" * 10_000_000, headers=BEARER)
    assert answer.status_code == 200


async def test_it_goes_when_ended_jobs_of_that_time_go(idle: Gateway) -> None:
    await idle.bare.post("/events", content=b"poison", headers=BEARER)
    await expire_unreadable(idle.backends)
    assert len(await kept(idle)) == 1
    later = idle.backends.now() + timedelta(seconds=idle.backends.settings.job_retention_s + 60)
    await expire_unreadable(replace(idle.backends, now=lambda: later))
    assert await kept(idle) == ()
