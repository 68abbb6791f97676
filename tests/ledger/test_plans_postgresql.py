"""The same questions on PostgreSQL, with 100,000 jobs there: each is answered from an index, and from few
pages."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import asyncpg
import pytest

from gateway.backends.ledger.protocol import Ledger
from gateway.backends.ledger.sql import open_ledger
from gateway.domain.job import Cause, JobQuery, NewJob, Payload
from tests.ledger.test_plans import HOT, JOB, LISTINGS, NOW, Statements, statements
from tests.servers.postgresql import Server, database, execute

pytestmark = [pytest.mark.services, pytest.mark.timeout(120)]

JOBS = 100_000
PAGES = 1500
"""Read, at most, for an answer: of about 20,000 that the tables and their indexes have."""
WALKED = {"jobs", "attempts", "contents", "remembered"}

FILL = f"""
INSERT INTO jobs (id, service, service_uid, cause, owner, state, reason, created_at, queued_at, announced_at,
    finished_at, due_at, attempts, failures, interruptions, cancel_requested)
SELECT 'old-' || n, 's' || n % 20, 'uid-' || n % 20, (ARRAY['request', 'event', 'held'])[1 + n % 3], 'ada',
    state, '', n * 1000000::bigint, n * 1000000::bigint, n % 2,
    CASE WHEN state IN ('succeeded', 'failed') THEN n * 1000000::bigint END,
    CASE WHEN state = 'waiting' AND n % 2 = 0 THEN 4000000000000000 END, 1, 0, 0, false
FROM generate_series(1, {JOBS}) AS n, LATERAL (SELECT CASE WHEN n % 5000 = 0 THEN 'running'
    WHEN n % 200 = 1 THEN 'queued' WHEN n % 200 IN (2, 3) THEN 'waiting'
    WHEN n % 10 = 4 THEN 'failed' ELSE 'succeeded' END AS state) AS states;
INSERT INTO remembered SELECT id, service_uid, created_at FROM jobs WHERE id LIKE 'old-%';
INSERT INTO attempts (job_id, number, claimed_at, detail)
    SELECT id, 1, created_at, '' FROM jobs WHERE id LIKE 'old-%';
INSERT INTO contents (job_id, payload) SELECT id, 'x' FROM jobs WHERE id LIKE 'old-%';
ANALYZE
"""


@pytest.fixture(scope="module")
def filled(server: Server) -> Iterator[str]:
    with database(server) as url:

        async def fill() -> None:
            async with open_ledger(url) as ledger:
                new = NewJob(JOB, "grey", "u", Cause.EVENT, "ada", payload=Payload(1, b"x"))
                await ledger.accept([new], now=NOW)
            await execute(url, FILL)

        asyncio.run(fill())
        yield url


async def plans(url: str, heard: Statements) -> list[Any]:
    """What PostgreSQL did for each statement, done once more and undone."""
    connection = await asyncpg.connect(url)
    try:
        undone = connection.transaction()
        await undone.start()
        found = []
        for statement, parameters in heard:
            # What was inserted is there: it cannot be inserted again.
            how = "" if statement.startswith("INSERT") else "ANALYZE, BUFFERS, "
            explained = await connection.fetchval(f"EXPLAIN ({how}FORMAT JSON) {statement}", *parameters)
            found.append(json.loads(explained)[0]["Plan"])
        await undone.rollback()
        return found
    finally:
        await connection.close()


def steps(plan: Any) -> Iterator[Any]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from steps(part)


async def check(url: str, ask: Callable[[Ledger], Awaitable[object]]) -> None:
    async with open_ledger(url) as ledger:
        with statements() as heard:
            await ask(ledger)
    mine = [
        one for one in heard if one[0].lstrip().startswith(("SELECT", "UPDATE", "INSERT", "DELETE", "WITH"))
    ]
    assert mine
    for plan in await plans(url, mine):
        walked = [step for step in steps(plan) if step["Node Type"] == "Seq Scan"]
        assert not WALKED & {step["Relation Name"] for step in walked}, json.dumps(plan, indent=1)
        assert plan.get("Shared Hit Blocks", 0) + plan.get("Shared Read Blocks", 0) < PAGES, json.dumps(
            plan, indent=1
        )


@pytest.mark.parametrize("name", HOT)
async def test_a_hot_statement_reads_few_pages_of_many_jobs(filled: str, name: str) -> None:
    await check(filled, HOT[name][0])


async def test_many_waiters_ends_are_found_by_their_ids(filled: str) -> None:
    await check(filled, lambda ledger: ledger.over([JOB]))


@pytest.mark.parametrize("narrowed", ["s1", "grey"])
async def test_a_listing_reads_few_pages_of_many_jobs(filled: str, narrowed: str) -> None:
    async def list_all(ledger: Ledger) -> None:
        for query in LISTINGS:
            service = narrowed if query.service else None
            await ledger.jobs(
                JobQuery(service=service, states=query.states, cause=query.cause, after=query.after, limit=70)
            )

    await check(filled, list_all)
