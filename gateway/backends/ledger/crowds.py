"""What the ledger does in crowds: taking in jobs, and all that a worker with many deliveries in its hands
asks for. Everything else is a transaction of its own."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import Connection

from gateway.backends.ledger.acceptance import Answer, Request, accept_all, accept_keyless
from gateway.backends.ledger.admitting import live_counts
from gateway.backends.ledger.crowd import Crowd, open_crowd
from gateway.backends.ledger.database import Database
from gateway.backends.ledger.launching import (
    Claim,
    Park,
    Start,
    begin_together,
    claim_together,
    park_together,
)
from gateway.backends.ledger.listing import WHOLE, asked
from gateway.backends.ledger.protocol import Accepted, Begun
from gateway.backends.ledger.rows import AnyRow, job_of_row
from gateway.domain.job import Attempt, Job, JobId
from gateway.domain.problems import NotFound

GATHER_S = 0.02
"""A worker with a backlog does hundreds of jobs a second: some of them share each transaction. One that comes
after a pause waits for nobody."""


@dataclass(frozen=True, slots=True)
class Crowds:
    accepting: Crowd[Request, tuple[Accepted, ...]]
    reading: Crowd[JobId, Job]
    claiming: Crowd[Claim, Attempt | None]
    parking: Crowd[Park, bool]
    beginning: Crowd[Start, Begun | None]
    counting: Crowd[None, Mapping[str, int]]


@asynccontextmanager
async def open_crowds(database: Database) -> AsyncIterator[Crowds]:
    turns = _Turns(database)
    several = 2 if database.remote else 1
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        yield Crowds(
            accepting=await enter(open_crowd(turns.accept, name="accepting", at_once=several)),
            reading=await enter(open_crowd(turns.read, name="reading", at_once=2)),
            claiming=await enter(open_crowd(turns.claim, name="claiming", gather_s=GATHER_S)),
            parking=await enter(open_crowd(turns.park, name="parking", gather_s=GATHER_S)),
            beginning=await enter(open_crowd(turns.begin, name="beginning", gather_s=GATHER_S)),
            counting=await enter(open_crowd(turns.count, name="counting", gather_s=GATHER_S)),
        )


class _Turns:
    """One transaction each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def accept(self, requests: Sequence[Request]) -> Sequence[Answer]:
        if self._database.remote and not any(request.key for request in requests):
            return await accept_keyless(self._database, requests)
        return await self._database.write(lambda connection: accept_all(connection, requests))

    async def read(self, jobs: Sequence[JobId]) -> Sequence[Job | NotFound]:
        rows = await self._database.read(lambda connection: _rows(connection, jobs))
        return [
            job_of_row(rows[job], inline=rows[job].payload, notice=rows[job].notice)
            if job in rows
            else NotFound(f"there is no job {job}")
            for job in jobs
        ]

    async def claim(self, claims: Sequence[Claim]) -> Sequence[Attempt | None]:
        # Alone: two who count at the same moment would both take the last place.
        limited = any(claim.limited for claim in claims)
        return await self._database.write(
            lambda connection: claim_together(connection, claims), alone=limited
        )

    async def park(self, parks: Sequence[Park]) -> Sequence[bool]:
        return await self._database.write(lambda connection: park_together(connection, parks))

    async def begin(self, starts: Sequence[Start]) -> Sequence[Begun | None]:
        return await self._database.write(lambda connection: begin_together(connection, starts))

    async def count(self, questions: Sequence[None]) -> Sequence[Mapping[str, int]]:
        return [await self._database.read(live_counts)] * len(questions)


def _rows(connection: Connection, jobs: Sequence[JobId]) -> dict[JobId, AnyRow]:
    return {JobId(row.id): row for row in connection.execute(WHOLE, asked(jobs))}
