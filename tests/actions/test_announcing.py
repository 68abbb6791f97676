"""Who is promised a job waits for the ledger, never for the queue; what the queue did not take is announced
by the sweep."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from gateway.actions.sweep_jobs import announce_due
from gateway.api.app import build_app
from gateway.backends.queue.announcing import AT_ONCE, WAITING_LIMIT, open_announcer
from gateway.domain.job import JobId
from gateway.domain.problems import Unavailable
from tests.api.gateway_rig import EVENTS_TOKEN, Gateway, client
from tests.polling import until


class SlowBroker:
    """Confirms nothing until it is told to, or refuses everything."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue
        self.confirms = asyncio.Event()
        self.refuses = False
        self.asked: list[JobId] = []

    async def publish(self, job: JobId) -> None:
        self.asked.append(job)
        if self.refuses:
            raise Unavailable("the broker is away")
        await self.confirms.wait()
        await self._queue.publish(job)


@asynccontextmanager
async def announcing(gateway: Gateway, broker: Any) -> AsyncIterator[httpx.AsyncClient]:
    """The gateway's API, announcing to this broker."""
    async with open_announcer(broker) as announcer:
        app = build_app(replace(gateway.backends, announcer=announcer))
        async with client(app) as http:
            yield http


async def submit(gateway: Gateway, http: httpx.AsyncClient, service: str) -> JobId:
    settings = gateway.backends.settings
    auth = (settings.oscar_username, settings.oscar_password)
    answer = await http.post(f"/job/{service}", content=b"x", auth=auth)
    return JobId(answer.headers["X-OSCAR-Job-ID"])


async def notify(http: httpx.AsyncClient, key: str) -> JobId:
    headers = {"Authorization": f"Bearer {EVENTS_TOKEN}"}
    answer = await http.post("/events", json=notification(key), headers=headers)
    (job,) = answer.json()["accepted"]
    return JobId(job)


def notification(key: str) -> dict[str, Any]:
    stored = {"key": key, "size": 1, "eTag": "0" * 32, "sequencer": "1"}
    record = {
        "eventVersion": "2.0",
        "eventSource": "minio:s3",
        "eventTime": "2026-01-01T00:00:00.000Z",
        "eventName": "s3:ObjectCreated:Put",
        "s3": {"bucket": {"name": "taken"}, "object": stored},
    }
    return {"EventName": record["eventName"], "Key": f"taken/{key}", "Records": [record]}


INPUT = [{"storage_provider": "minio", "path": "taken/in"}]


@pytest.mark.parametrize("told", ["job", "notification"])
async def test_a_job_is_answered_while_the_broker_does_not_confirm_and_announced_when_it_does(
    idle: Gateway, told: str
) -> None:
    await idle.deploy("slow", input=INPUT)
    broker = SlowBroker(idle.backends.queue)
    async with announcing(idle, broker) as http, asyncio.timeout(10):
        job = await (submit(idle, http, "slow") if told == "job" else notify(http, "in/a"))
        assert (await idle.backends.ledger.job(job)).id == job
        assert await idle.backends.queue.depth() == 0
        broker.confirms.set()
        async with idle.backends.queue.deliveries(prefetch=1) as deliveries:
            assert (await anext(deliveries)).job == job


async def test_no_more_than_so_many_announcements_are_under_way_and_all_come_in_order(idle: Gateway) -> None:
    jobs = [JobId(f"job-{number}") for number in range(3 * AT_ONCE)]
    broker = SlowBroker(idle.backends.queue)

    async def asked() -> bool:
        return len(broker.asked) >= AT_ONCE

    async with open_announcer(broker) as announcer:  # type: ignore[arg-type]  # what is needed of a queue
        announcer.soon(jobs)
        await until(asked)
        assert broker.asked == jobs[:AT_ONCE]
        broker.confirms.set()
    # Closing finished what waited.
    assert broker.asked == jobs
    assert await idle.backends.queue.depth() == len(jobs)


async def test_what_is_left_to_the_sweep_is_told_once_however_many_there_are(idle: Gateway) -> None:
    broker = SlowBroker(idle.backends.queue)
    with capture_logs() as logs:
        async with open_announcer(broker) as announcer:  # type: ignore[arg-type]  # what is needed of a queue
            announcer.soon(JobId(f"job-{number}") for number in range(WAITING_LIMIT))
            for number in range(500):
                announcer.soon([JobId(f"further-{number}")])
            broker.refuses = True
            broker.confirms.set()
    told = [line for line in logs if line["event"] == "announcements.postponed"]
    assert len(told) == 1


async def test_a_job_whose_broker_is_away_is_answered_and_announced_by_the_sweep(idle: Gateway) -> None:
    await idle.deploy("refused")
    broker = SlowBroker(idle.backends.queue)
    broker.refuses = True
    async with announcing(idle, broker) as http:
        job = await submit(idle, http, "refused")
    assert broker.asked == [job]
    assert await idle.backends.queue.depth() == 0
    then = idle.backends.now() + timedelta(seconds=6)
    await announce_due(replace(idle.backends, now=lambda: then))
    async with idle.backends.queue.deliveries(prefetch=1) as deliveries:
        assert (await anext(deliveries)).job == job


async def test_a_broker_that_never_confirms_does_not_keep_the_process_from_ending(idle: Gateway) -> None:
    broker = SlowBroker(idle.backends.queue)
    async with asyncio.timeout(10), open_announcer(broker) as announcer:  # type: ignore[arg-type]
        announcer.soon([JobId("a"), JobId("b")])
    assert await idle.backends.queue.depth() == 0
