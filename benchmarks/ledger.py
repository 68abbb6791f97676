"""Durable accepts of 1 KiB by the ledger on PostgreSQL, 16 clients in one process, against 16 clients that
each commit one bare row; and how long one of either takes at 500/s.

The server is the benchmark's own, from the local package, with its defaults: both wait for its disk.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from statistics import quantiles
from typing import Any

import asyncpg

from benchmarks.table import show
from gateway.backends.ledger.protocol import Ledger
from gateway.backends.ledger.sql import open_ledger
from gateway.domain.job import Cause, JobId, NewJob, Payload
from tests.servers.postgresql import execute, own_postgresql

CLIENTS, RUNS, SECONDS = 16, 5, 3.0
RATE = 500
BODY = b"x" * 1024

Step = Callable[[], Awaitable[None]]


async def measure() -> None:
    with own_postgresql() as server:
        accepted, inserted, accept_ms, insert_ms = [], [], [], []
        await execute(server.url, "CREATE TABLE bare (id text PRIMARY KEY, body bytea)")
        async with (
            open_ledger(server.url) as ledger,
            asyncpg.create_pool(server.url, min_size=CLIENTS, max_size=CLIENTS) as pool,
        ):
            accept, insert = partial(_accept, ledger), partial(_insert, pool)
            for _ in range(RUNS):
                accepted.append(await _at_once(accept))
                inserted.append(await _at_once(insert))
                accept_ms.append(await _at_rate(accept))
                insert_ms.append(await _at_rate(insert))
    show("ledger, durable accept, 1 KiB, 16 clients", "jobs/s", {"accept": accepted, "INSERT": inserted})
    for name, place, target in (("p50", 49, 5.0), ("p99", 98, 50.0)):
        told = {"accept": accept_ms, "INSERT": insert_ms}
        series = {one: [parts[place] for parts in runs] for one, runs in told.items()}
        show(f"ledger, durable accept at {RATE}/s, {name}", "ms", {"target": [target], **series})


async def _accept(ledger: Ledger) -> None:
    job = JobId(f"bench-{secrets.token_hex(10)}")
    new = NewJob(job, "bench", "uid", Cause.REQUEST, "ada", payload=Payload(len(BODY), BODY))
    await ledger.accept([new], now=datetime.now(UTC))


async def _insert(pool: Any) -> None:
    async with pool.acquire() as connection:
        await connection.execute("INSERT INTO bare VALUES ($1, $2)", secrets.token_hex(10), BODY)


async def _at_once(step: Step) -> float:
    """How many a second by all clients."""
    until = time.perf_counter() + SECONDS

    async def client() -> int:
        count = 0
        while time.perf_counter() < until:
            await step()
            count += 1
        return count

    return sum(await asyncio.gather(*(client() for _ in range(CLIENTS)))) / SECONDS


async def _at_rate(step: Step) -> list[float]:
    """Percentiles of the time of one, ms: asked for at fixed moments, however long the others take."""
    took: list[float] = []

    async def one() -> None:
        began = time.perf_counter()
        await step()
        took.append((time.perf_counter() - began) * 1000)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(int(RATE * SECONDS)):
            await asyncio.sleep(max(0.0, began + number / RATE - time.perf_counter()))
            tasks.create_task(one())
    return quantiles(took, n=100)
