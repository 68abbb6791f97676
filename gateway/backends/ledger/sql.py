"""The ledger in a SQL database: one implementation for SQLite and PostgreSQL.

Gives up counting ahead: `census` counts the jobs' rows, so that it can contradict the counters.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial

from sqlalchemy import delete, func, select, update

from gateway.backends.ledger.acceptance import Request
from gateway.backends.ledger.admitting import admit_jobs, live_counts
from gateway.backends.ledger.crowds import Crowds, open_crowds
from gateway.backends.ledger.database import Database, open_database
from gateway.backends.ledger.launching import Claim, Park, Start, in_order
from gateway.backends.ledger.listing import (
    OVER,
    asked,
    ended_since,
    finished_page,
    newest_page,
    services_with_jobs,
    unannounced_page,
)
from gateway.backends.ledger.measuring import forget_durations, replace_durations
from gateway.backends.ledger.migrate import prepare
from gateway.backends.ledger.protocol import Accepted, Begun, IdempotencyKey, JobPage, Ledger
from gateway.backends.ledger.remembering import forget_ids, portions, remember_ids, remembered_ids
from gateway.backends.ledger.rows import attempt_of_row, job_of_row
from gateway.backends.ledger.tables import (
    ATTEMPTS,
    COUNTERS,
    DURATIONS,
    JOBS,
    KEYS,
    NEVER,
    is_state,
)
from gateway.backends.ledger.transitions import (
    cancel_job,
    explain_attempt,
    hold_attempt,
    queue_due_jobs,
    settle_attempt,
    take_over_attempt,
)
from gateway.domain.job import (
    FINAL_STATES,
    LIVE_STATES,
    Attempt,
    AttemptId,
    Census,
    Ending,
    Job,
    JobId,
    JobQuery,
    JobState,
    NewJob,
)
from gateway.domain.problems import NotFound


@asynccontextmanager
async def open_ledger(url: str, *, busy_s: float = 5.0) -> AsyncIterator[Ledger]:
    """The ledger at `sqlite:///<path>` or `postgresql://…`, made or brought up to date first.

    A PostgreSQL that is away is waited for in the background: everything is Unavailable until then.

    `busy_s`: how long another process that writes to a SQLite file is waited for. Raises Invalid for another
    URL, Conflict for a newer version's database, Unavailable, StorageFull.
    """
    async with open_database(url, busy_s=busy_s) as database:
        preparing = await prepare(database)
        try:
            async with open_crowds(database) as crowds:
                yield SqlLedger(database, crowds)
        finally:
            if preparing is not None:
                preparing.cancel()
                await asyncio.wait([preparing])


class SqlLedger:
    """See the protocol for what each method promises."""

    def __init__(self, database: Database, crowds: Crowds) -> None:
        self._database = database
        self._crowds = crowds

    async def accept(
        self, jobs: Sequence[NewJob], *, now: datetime, key: IdempotencyKey | None = None
    ) -> tuple[Accepted, ...]:
        return await self._crowds.accepting.ask(Request(tuple(jobs), now, key))

    async def job(self, job: JobId) -> Job:
        return await self._crowds.reading.ask(job)

    async def jobs(self, query: JobQuery) -> JobPage:
        async with self._database.reading() as connection:
            rows = (await connection.execute(newest_page(query))).all()
        page = tuple(job_of_row(row) for row in rows[: query.limit])
        return JobPage(page, remaining=len(rows) > query.limit)

    async def over(self, jobs: Collection[JobId]) -> frozenset[JobId]:
        async with self._database.reading() as connection:
            return frozenset(JobId(job) for job in await connection.scalars(OVER, asked(jobs)))

    async def ended(self, since: datetime) -> frozenset[JobId]:
        async with self._database.reading() as connection:
            return frozenset(JobId(job) for job in await connection.scalars(ended_since(since)))

    async def attempts(self, job: JobId) -> tuple[Attempt, ...]:
        ordered = select(ATTEMPTS).where(ATTEMPTS.c.job_id == job).order_by(ATTEMPTS.c.number)
        async with self._database.reading() as connection:
            return tuple(attempt_of_row(row) for row in await connection.execute(ordered))

    async def unannounced(
        self, *, queued_before: datetime, announced_before: datetime, limit: int
    ) -> tuple[JobId, ...]:
        page = unannounced_page(queued_before=queued_before, announced_before=announced_before, limit=limit)
        async with self._database.reading() as connection:
            return tuple(JobId(job) for job in await connection.scalars(page))

    async def announced(self, jobs: Iterable[JobId], *, now: datetime) -> None:
        async with self._database.writing() as connection:
            for portion in portions(jobs):
                note = update(JOBS).where(JOBS.c.id.in_(in_order(portion)))
                await connection.execute(note.values(announced_at=now))

    async def claim(
        self, job: JobId, *, now: datetime, live_limit: int = 0, service_limit: int = 0
    ) -> Attempt | None:
        return await self._crowds.claiming.ask(Claim(job, now, live_limit, service_limit))

    async def park(self, job: JobId, *, reason: str) -> bool:
        return await self._crowds.parking.ask(Park(job, reason))

    async def admit(self, *, limit: int, full: frozenset[str] = frozenset()) -> tuple[JobId, ...]:
        # Alone: two who choose at the same moment would choose the same jobs, and leave places free.
        return await self._database.write(partial(admit_jobs, limit=limit, full=full), alone=True)

    async def due(self, *, now: datetime, limit: int) -> tuple[JobId, ...]:
        async with self._database.writing() as connection:
            return await queue_due_jobs(connection, now=now, limit=limit)

    async def began(self, attempt: AttemptId, *, now: datetime) -> Begun | None:
        return await self._crowds.beginning.ask(Start(attempt, now))

    async def hold(self, attempt: AttemptId, *, now: datetime) -> None:
        async with self._database.writing() as connection:
            await hold_attempt(connection, attempt, now=now)

    async def take_over(self, attempt: AttemptId, *, held_before: datetime, now: datetime) -> int | None:
        async with self._database.writing() as connection:
            return await take_over_attempt(connection, attempt, held_before=held_before, now=now)

    async def explain(self, attempt: AttemptId, reason: str) -> bool:
        async with self._database.writing() as connection:
            return await explain_attempt(connection, attempt, reason)

    async def settle(
        self, ending: Ending, *, state: JobState, reason: str, due_at: datetime | None, now: datetime
    ) -> Job | None:
        async with self._database.writing() as connection:
            row = await settle_attempt(connection, ending, state=state, reason=reason, due_at=due_at, now=now)
        return None if row is None else job_of_row(row)

    async def cancel(self, job: JobId, *, reason: str, now: datetime) -> Job:
        async with self._database.writing() as connection:
            row = await cancel_job(connection, job, reason=reason, now=now)
        if row is None:
            raise NotFound(f"there is no job {job}")
        return job_of_row(row)

    async def live_counts(self) -> Mapping[str, int]:
        return await self._crowds.counting.ask(None)

    async def live(self) -> tuple[Job, ...]:
        live = (
            select(JOBS).where(JOBS.c.state.in_(sorted(LIVE_STATES))).order_by(JOBS.c.created_at, JOBS.c.id)
        )
        async with self._database.reading() as connection:
            return tuple(job_of_row(row) for row in await connection.execute(live))

    async def census(self) -> Census:
        by_state = select(JOBS.c.state, func.count().label("jobs")).group_by(JOBS.c.state)
        async with self._database.reading() as connection:
            counted = {row.state: row.jobs for row in await connection.execute(by_state)}
            live = await connection.run_sync(live_counts)
        return Census(states={state: counted.get(state, 0) for state in JobState}, live=live)

    async def remove(self, jobs: Iterable[JobId]) -> tuple[Job, ...]:
        removed: list[Job] = []
        async with self._database.writing() as connection:
            for portion in portions(jobs):
                final = delete(JOBS).where(JOBS.c.id.in_(portion), JOBS.c.state.in_(sorted(FINAL_STATES)))
                rows = await connection.execute(final.returning(JOBS))
                removed += [job_of_row(row) for row in rows]
            count = update(COUNTERS).where(COUNTERS.c.name == "removed")
            await connection.execute(count.values(value=COUNTERS.c.value + len(removed)))
        return tuple(removed)

    async def finished(
        self,
        *,
        before: datetime | None = None,
        service_uid: str | None = None,
        states: frozenset[JobState],
        limit: int,
    ) -> tuple[JobId, ...]:
        if not states:
            return ()
        page = finished_page(states, before=before, service_uid=service_uid, limit=limit)
        async with self._database.reading() as connection:
            return tuple(JobId(job) for job in await connection.scalars(page))

    async def remembered(self, jobs: Iterable[JobId]) -> frozenset[JobId]:
        async with self._database.reading() as connection:
            return await connection.run_sync(remembered_ids, jobs)

    async def remember(self, jobs: Iterable[JobId], *, service_uid: str, now: datetime) -> None:
        wanted = frozenset(jobs)
        async with self._database.writing() as connection:
            new = wanted - await connection.run_sync(remembered_ids, wanted)
            await connection.run_sync(remember_ids, ((job, service_uid, now) for job in sorted(new)))

    async def durations(self) -> Mapping[str, Sequence[float]]:
        async with self._database.reading() as connection:
            return {row.name: row.weights for row in await connection.execute(select(DURATIONS))}

    async def keep_durations(self, weights: Mapping[str, Sequence[float]]) -> None:
        # Alone: two that keep the same new name at the same moment would both insert it.
        async with self._database.writing_alone() as connection:
            await replace_durations(connection, weights)

    async def forget_service(self, service_uid: str) -> None:
        async with self._database.writing() as connection:
            await forget_ids(connection, service_uid)
            await forget_durations(connection, service_uid)

    async def services(self) -> frozenset[tuple[str, str]]:
        async with self._database.reading() as connection:
            rows = await connection.execute(services_with_jobs())
            return frozenset((row.service, row.uid) for row in rows)

    async def forget_keys(self, *, now: datetime) -> int:
        async with self._database.writing() as connection:
            return (await connection.execute(delete(KEYS).where(KEYS.c.expires_at <= now))).rowcount

    async def forget_announcements(self) -> None:
        async with self._database.writing() as connection:
            told = update(JOBS).where(is_state(JobState.QUEUED), JOBS.c.announced_at > NEVER)
            await connection.execute(told.values(announced_at=NEVER))

    async def ready(self) -> None:
        async with self._database.writing() as connection:
            unchanged = update(COUNTERS).where(COUNTERS.c.name == "accepted").values(value=COUNTERS.c.value)
            await connection.execute(unchanged)

    async def totals(self) -> Mapping[str, int]:
        totals: dict[str, int] = {}
        for row in await self._database.read(lambda connection: connection.execute(select(COUNTERS)).all()):
            name, _, _ = row.name.partition(":")
            totals[name] = totals.get(name, 0) + row.value
        return totals
