"""From one state to the next: each a compare-and-set in the caller's transaction, so that it happens once.
The way to `running` is `launching`."""

from datetime import datetime

from sqlalchemy import Update, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.backends.ledger.remembering import portions
from gateway.backends.ledger.rows import AnyRow, kept_document
from gateway.backends.ledger.tables import ATTEMPTS, JOBS, NEVER
from gateway.domain.job import (
    FINAL_STATES,
    LIVE_STATES,
    PLATFORM_REASONS,
    AttemptId,
    Ending,
    EndReason,
    JobId,
    JobState,
    attempt_id,
    job_of,
)

SCRIPT_REASONS = frozenset(
    {EndReason.EXITED, EndReason.TIME_LIMIT, EndReason.MEMORY_LIMIT, EndReason.OUTPUT_LIMIT}
)
"""Ends that, without success, are the script's own failure."""


async def queue_due_jobs(connection: AsyncConnection, *, now: datetime, limit: int) -> tuple[JobId, ...]:
    """`waiting` with a due time that has come → `queued`."""
    order = (JOBS.c.due_at, JOBS.c.id)
    due = list(
        await connection.scalars(select(JOBS.c.id).where(JOBS.c.due_at <= now).order_by(*order).limit(limit))
    )
    moved: set[str] = set()
    for portion in portions(due):
        move = (
            update(JOBS)
            .where(JOBS.c.id.in_(portion), JOBS.c.due_at <= now)
            .values(state=JobState.QUEUED.value, reason="", due_at=None, queued_at=now, announced_at=NEVER)
        )
        moved.update(await connection.scalars(move.returning(JOBS.c.id)))
    return tuple(JobId(job) for job in due if job in moved)


async def hold_attempt(connection: AsyncConnection, attempt: AttemptId, *, now: datetime) -> None:
    job, number = attempt_parts(attempt)
    await connection.execute(_attempt_update(job, number).values(held_at=now))


async def take_over_attempt(
    connection: AsyncConnection, attempt: AttemptId, *, held_before: datetime, now: datetime
) -> int | None:
    """How often it was, or None where it is not to be."""
    job, number = attempt_parts(attempt)
    starting = select(JOBS.c.id).where(
        JOBS.c.id == job, JOBS.c.attempts == number, JOBS.c.state == JobState.STARTING.value
    )
    take = _attempt_update(job, number).where(
        func.coalesce(ATTEMPTS.c.held_at, ATTEMPTS.c.claimed_at) <= held_before, starting.exists()
    )
    values = {"held_at": now, "takeovers": ATTEMPTS.c.takeovers + 1}
    count: int | None = await connection.scalar(take.values(values).returning(ATTEMPTS.c.takeovers))
    return count


async def explain_attempt(connection: AsyncConnection, attempt: AttemptId, reason: str) -> bool:
    job, number = attempt_parts(attempt)
    explain = update(JOBS).where(
        JOBS.c.id == job, JOBS.c.attempts == number, JOBS.c.state.in_(sorted(LIVE_STATES))
    )
    return (await connection.execute(explain.values(reason=reason))).rowcount == 1


async def settle_attempt(
    connection: AsyncConnection,
    ending: Ending,
    *,
    state: JobState,
    reason: str,
    due_at: datetime | None,
    now: datetime,
) -> AnyRow | None:
    """`starting` or `running` → `state`, and the attempt's own end; the job's row if it was live."""
    job, number = attempt_parts(ending.attempt)
    settle = update(JOBS).where(
        JOBS.c.id == job, JOBS.c.attempts == number, JOBS.c.state.in_(sorted(LIVE_STATES))
    )
    values: dict[str, object] = {
        "state": state.value,
        "reason": reason,
        "due_at": due_at,
        "finished_at": now if state in FINAL_STATES else None,
        "exit_code": ending.exit_code,
        "kept": kept_document(ending.kept),
    }
    if not ending.succeeded and ending.reason in SCRIPT_REASONS:
        values["failures"] = JOBS.c.failures + 1
    if ending.reason in PLATFORM_REASONS:
        values["interruptions"] = JOBS.c.interruptions + 1
    row: AnyRow | None = (await connection.execute(settle.values(values).returning(JOBS))).one_or_none()
    if row is not None:
        end = {"reason": ending.reason.value, "exit_code": ending.exit_code, "detail": ending.detail}
        await connection.execute(_attempt_update(job, number).values(finished_at=now, **end))
    return row


async def cancel_job(connection: AsyncConnection, job: JobId, *, reason: str, now: datetime) -> AnyRow | None:
    """Not yet live → `cancelled`; live → asked to end; the job's row after it, None if there is no job."""
    this = update(JOBS).where(JOBS.c.id == job).returning(JOBS)
    waiting = this.where(JOBS.c.state.in_([JobState.QUEUED.value, JobState.WAITING.value]))
    ended = {"state": JobState.CANCELLED.value, "reason": reason, "due_at": None, "finished_at": now}
    row: AnyRow | None = (await connection.execute(waiting.values(ended))).one_or_none()
    if row is None:
        live = this.where(JOBS.c.state.in_(sorted(LIVE_STATES)))
        row = (await connection.execute(live.values(cancel_requested=True))).one_or_none()
    if row is None:
        row = (await connection.execute(select(JOBS).where(JOBS.c.id == job))).one_or_none()
    return row


def _attempt_update(job: JobId, number: int) -> Update:
    return update(ATTEMPTS).where(ATTEMPTS.c.job_id == job, ATTEMPTS.c.number == number)


def attempt_parts(attempt: AttemptId) -> tuple[JobId, int]:
    """Job and number; number 0, which no attempt has, for an id that is not ours to the letter."""
    try:
        job, number = job_of(attempt)
    except ValueError:
        return JobId(attempt), 0
    ours = 0 < number < 1 << 31 and attempt_id(job, number) == attempt
    return job, number if ours else 0
