"""Who is let through the gate next: fairly over services, oldest first within one."""

from collections import deque
from datetime import datetime
from heapq import heapify, heappop, heappush

from sqlalchemy import Connection, Select, func, select, update

from gateway.backends.ledger.remembering import portions
from gateway.backends.ledger.skipping import different_values
from gateway.backends.ledger.tables import JOBS, NEVER, is_state
from gateway.domain.job import LIVE_STATES, JobId, JobState

LIVE = (
    select(JOBS.c.service, func.count().label("live"))
    .where(JOBS.c.state.in_(sorted(LIVE_STATES)))
    .group_by(JOBS.c.service)
)
"""Made once: each parked job asks this."""
GATED = (is_state(JobState.WAITING), JOBS.c.due_at.is_(None))


def admit_jobs(connection: Connection, *, limit: int, full: frozenset[str]) -> tuple[JobId, ...]:
    """Choose and move to `queued`; the moved ones, the neediest service's first."""
    chosen = _fair_choice(connection, limit=limit, full=full)
    moved: set[str] = set()
    for portion in portions(chosen):
        queued = {"state": JobState.QUEUED.value, "reason": "", "queued_at": NEVER, "announced_at": NEVER}
        move = update(JOBS).where(JOBS.c.id.in_(portion), *GATED).values(queued).returning(JOBS.c.id)
        moved.update(connection.scalars(move))
    return tuple(job for job in chosen if job in moved)


def live_counts(connection: Connection) -> dict[str, int]:
    """Live attempts of each service that has any."""
    return {row.service: row.live for row in connection.execute(LIVE)}


def _fair_choice(connection: Connection, *, limit: int, full: frozenset[str]) -> list[JobId]:
    """Each chosen job counts as a live attempt of its service when the next one is chosen."""
    live = live_counts(connection)
    lines = [
        (live.get(row.service, 0), row.oldest, row.service)
        for row in connection.execute(_services_at_the_gate())
        if row.service not in full
    ]
    heapify(lines)
    waiting: dict[str, deque[tuple[JobId, datetime]]] = {}
    chosen: list[JobId] = []
    while lines and len(chosen) < limit:
        count, _, service = heappop(lines)
        if service not in waiting:
            rows = connection.execute(_oldest_at_the_gate(service, limit=limit - len(chosen)))
            waiting[service] = deque((JobId(row.id), row.created_at) for row in rows)
        chosen.append(waiting[service].popleft()[0])
        if waiting[service]:
            heappush(lines, (count + 1, waiting[service][0][1], service))
    return chosen


def _services_at_the_gate() -> Select[str, datetime]:
    """Each service with jobs at the gate, and its oldest job's time."""
    services = different_values(JOBS.c.service, *GATED)
    oldest = select(func.min(JOBS.c.created_at)).where(*GATED, JOBS.c.service == services.c.value)
    column = oldest.correlate(services).scalar_subquery().label("oldest")
    return select(services.c.value.label("service"), column).where(services.c.value.is_not(None))


def _oldest_at_the_gate(service: str, *, limit: int) -> Select[str, datetime]:
    line = select(JOBS.c.id, JOBS.c.created_at).where(*GATED, JOBS.c.service == service)
    return line.order_by(JOBS.c.created_at, JOBS.c.id).limit(limit)
