"""No question that is asked again and again reads a whole table: SQLite's own plan of each says so."""

import re
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from gateway.backends.ledger.protocol import IdempotencyKey, Ledger
from gateway.backends.ledger.sql import open_ledger
from gateway.domain.job import (
    FINAL_STATES,
    AttemptId,
    Cause,
    Cursor,
    Ending,
    EndReason,
    JobId,
    JobQuery,
    JobState,
    NewJob,
    Payload,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(seconds=1)
JOB = JobId("grey-1")
BY_ID = "sqlite_autoindex_jobs_1"
INDEX = re.compile(r"SEARCH jobs USING (?:COVERING )?INDEX (\w+)")
Statements = list[tuple[str, tuple[object, ...]]]


@contextmanager
def statements() -> Iterator[Statements]:
    """Every SQL statement executed meanwhile, with its parameters."""
    heard: Statements = []

    def hear(
        _connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool
    ) -> None:
        heard.append((statement, tuple(parameters[0] if many else parameters)))

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        yield heard
    finally:
        event.remove(Engine, "before_cursor_execute", hear)


def plan(file: Path, heard: Statements) -> list[str]:
    """What SQLite does for each of them, a line a step."""
    connection = sqlite3.connect(file)
    try:
        return [
            row[3]
            for statement, parameters in heard
            if not statement.startswith(("BEGIN", "PRAGMA"))
            for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]
    finally:
        connection.close()


async def plan_of(file: Path, ask: Callable[[Ledger], Awaitable[object]]) -> list[str]:
    async with open_ledger(f"sqlite:///{file}") as ledger:
        await ledger.accept([NewJob(JOB, "grey", "u", Cause.EVENT, "ada", payload=Payload(1, b"x"))], now=NOW)
        with statements() as heard:
            await ask(ledger)
    assert heard
    return plan(file, heard)


async def _settle(ledger: Ledger) -> None:
    await ledger.claim(JOB, now=NOW)
    await ledger.began(AttemptId("grey-1-1"), now=NOW)
    ending = Ending(AttemptId("grey-1-1"), EndReason.EXITED, 0)
    await ledger.settle(ending, state=JobState.SUCCEEDED, reason="", due_at=None, now=NOW)


async def _accept(ledger: Ledger) -> None:
    new = NewJob(JobId("grey-2"), "grey", "u", Cause.EVENT, "ada", payload=Payload(1, b"x"))
    await ledger.accept([new], now=NOW, key=IdempotencyKey("ada", "k", "f", LATER))


HOT: dict[str, tuple[Callable[[Ledger], Awaitable[object]], list[str]]] = {
    "unannounced": (
        lambda ledger: ledger.unannounced(queued_before=LATER, announced_before=LATER, limit=10),
        ["jobs_queued", "jobs_queued"],
    ),
    "due": (lambda ledger: ledger.due(now=NOW, limit=10), ["jobs_due"]),
    # Live attempts; then first service, next service, its oldest job.
    "admit": (lambda ledger: ledger.admit(limit=10), ["jobs_by_state", *["jobs_gated"] * 3]),
    "live": (lambda ledger: ledger.live(), ["jobs_by_state"]),
    "live_counts": (lambda ledger: ledger.live_counts(), ["jobs_by_state"]),
    "ended": (lambda ledger: ledger.ended(NOW), ["jobs_finished"]),
    "finished": (
        lambda ledger: ledger.finished(before=LATER, states=FINAL_STATES, limit=10),
        ["jobs_finished"] * len(FINAL_STATES),
    ),
    "finished of a service": (
        lambda ledger: ledger.finished(service_uid="u", states=FINAL_STATES, limit=10),
        ["jobs_by_uid"] * len(FINAL_STATES),
    ),
    "services": (lambda ledger: ledger.services(), ["jobs_by_uid"] * 3),
    "job": (lambda ledger: ledger.job(JOB), [BY_ID]),
    "attempts": (lambda ledger: ledger.attempts(JOB), []),
    "accept": (_accept, []),
    "claim, begin and settle": (_settle, [BY_ID] * 5),
    "park": (lambda ledger: ledger.park(JOB, reason=""), [BY_ID] * 2),
    "announced": (lambda ledger: ledger.announced([JOB], now=NOW), [BY_ID] * 2),
    "cancel": (lambda ledger: ledger.cancel(JOB, reason="", now=NOW), [BY_ID]),
    "remove": (lambda ledger: ledger.remove([JOB]), [BY_ID]),
    "remembered": (lambda ledger: ledger.remembered([JOB]), []),
    "forget_service": (lambda ledger: ledger.forget_service("u"), [BY_ID]),
    "forget_keys": (lambda ledger: ledger.forget_keys(now=NOW), []),
}
"""What is asked all the time, and the indexes on jobs that it is answered from."""


@pytest.mark.parametrize("name", HOT)
async def test_a_hot_statement_searches_the_index_made_for_it(file: Path, name: str) -> None:
    ask, indexes = HOT[name]

    steps = await plan_of(file, ask)

    assert sorted(INDEX.findall("\n".join(steps))) == indexes, steps
    assert not [step for step in steps if _reads_all(step)]


LISTINGS = [
    JobQuery(service=service, states=states, cause=cause, after=after, created_from=since)
    for service, states, cause, after, since in product(
        (None, "grey"),
        (frozenset[JobState](), frozenset({JobState.FAILED}), FINAL_STATES),
        (None, Cause.EVENT),
        (None, Cursor(LATER, JOB)),
        (None, NOW),
    )
]


async def test_every_listing_walks_an_index_of_what_it_is_narrowed_by(file: Path) -> None:
    async with open_ledger(f"sqlite:///{file}") as ledger:
        for query in LISTINGS:
            with statements() as heard:
                await ledger.jobs(query)
            check_listing(query, plan(file, heard))


def check_listing(query: JobQuery, steps: list[str]) -> None:
    equal = [*["service"] * bool(query.service), *["state"] * bool(query.states), "cause"]
    index = {"cause": "by_cause", "service_cause": "by_service", "state_cause": "by_state"}
    name = index.get("_".join(equal), "by_service_state")
    walk = f"SEARCH jobs USING COVERING INDEX jobs_{name} ({' AND '.join(f'{column}=?' for column in equal)}"
    walks = [step for step in steps if "jobs" in step and BY_ID not in step]
    assert walks
    assert all(step.startswith(walk) for step in walks), steps
    # What is sorted is a page at most: the merged one, and once more with the rest of its columns.
    assert len([step for step in steps if "TEMP B-TREE" in step]) <= 2, steps


async def test_the_census_alone_counts_every_job(file: Path) -> None:
    steps = await plan_of(file, lambda ledger: ledger.census())

    assert [step for step in steps if _reads_all(step)] == ["SCAN jobs USING COVERING INDEX jobs_by_state"]


def _reads_all(step: str) -> bool:
    return step.startswith("SCAN") and any(
        f" {table} " in f"{step} " for table in ("jobs", "attempts", "contents", "remembered")
    )
