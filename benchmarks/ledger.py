"""Durable accepts of 1 KiB by the ledger on PostgreSQL, 16 clients in one process, against 16 clients that
each commit one bare row; and how long one takes at 500/s.

The server is the benchmark's own, from the local package, with its defaults: both wait for its disk.
"""

import asyncio
import secrets
import time
from datetime import UTC, datetime
from statistics import quantiles

import asyncpg

from benchmarks.table import show
from gateway.backends.ledger.protocol import Ledger
from gateway.backends.ledger.sql import open_ledger
from gateway.domain.job import Cause, JobId, NewJob, Payload
from tests.servers.postgresql import execute, own_postgresql

CLIENTS, RUNS, SECONDS = 16, 5, 3.0
RATE = 500
BODY = b"x" * 1024


async def measure() -> None:
    with own_postgresql() as server:
        accepted, inserted, took_ms = [], [], []
        await execute(server.url, "CREATE TABLE bare (id text PRIMARY KEY, body bytea)")
        async with open_ledger(server.url) as ledger:
            for _ in range(RUNS):
                accepted.append(await _accepts(ledger))
                inserted.append(await _inserts(server.url))
                took_ms.append(await _at_rate(ledger))
    show("ledger, durable accept, 1 KiB, 16 clients", "jobs/s", {"accept": accepted, "INSERT": inserted})
    middle, late = ([parts[place] for parts in took_ms] for place in (49, 98))
    show(f"ledger, durable accept at {RATE}/s, p50", "ms", {"accept": middle, "target": [5.0]})
    show(f"ledger, durable accept at {RATE}/s, p99", "ms", {"accept": late, "target": [50.0]})


async def _accept(ledger: Ledger) -> None:
    job = JobId(f"bench-{secrets.token_hex(10)}")
    new = NewJob(job, "bench", "uid", Cause.REQUEST, "ada", payload=Payload(len(BODY), BODY))
    await ledger.accept([new], now=datetime.now(UTC))


async def _accepts(ledger: Ledger) -> float:
    until = time.perf_counter() + SECONDS

    async def client() -> int:
        count = 0
        while time.perf_counter() < until:
            await _accept(ledger)
            count += 1
        return count

    return sum(await asyncio.gather(*(client() for _ in range(CLIENTS)))) / SECONDS


async def _at_rate(ledger: Ledger) -> list[float]:
    """Percentiles of the time of one, ms: asked for at fixed moments, however long the others take."""
    took: list[float] = []

    async def one() -> None:
        began = time.perf_counter()
        await _accept(ledger)
        took.append((time.perf_counter() - began) * 1000)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(int(RATE * SECONDS)):
            await asyncio.sleep(max(0.0, began + number / RATE - time.perf_counter()))
            tasks.create_task(one())
    return quantiles(took, n=100)


async def _inserts(url: str) -> float:
    until = time.perf_counter() + SECONDS

    async def client() -> int:
        connection = await asyncpg.connect(url)
        count = 0
        while time.perf_counter() < until:
            await connection.execute("INSERT INTO bare VALUES ($1, $2)", secrets.token_hex(10), BODY)
            count += 1
        await connection.close()
        return count

    return sum(await asyncio.gather(*(client() for _ in range(CLIENTS)))) / SECONDS
