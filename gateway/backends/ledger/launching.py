"""From `queued` to `running`, or to the gate, many jobs in one transaction: each still a compare-and-set, so
that it happens once. Rows are locked in the order of ids, so that two who want the same ones wait for each
other, without a deadlock."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, bindparam, insert, select, update

from gateway.backends.ledger.admitting import live_counts
from gateway.backends.ledger.listing import AMONG, asked
from gateway.backends.ledger.protocol import Begun
from gateway.backends.ledger.rows import AnyRow
from gateway.backends.ledger.tables import ATTEMPTS, JOBS
from gateway.backends.ledger.transitions import attempt_parts
from gateway.domain.job import Attempt, AttemptId, JobId, JobState, attempt_id

# Statements are made once: whoever works on a backlog needs them all the time.
THIS = JOBS.c.id == bindparam("this")
COLUMNS = (JOBS.c.id, JOBS.c.service, JOBS.c.state, JOBS.c.attempts, JOBS.c.cancel_requested)
LOCK = select(*COLUMNS).where(AMONG).order_by(JOBS.c.id).with_for_update()
CLAIM = (
    update(JOBS)
    .where(THIS)
    .values(state=JobState.STARTING.value, reason="", started_at=None, attempts=bindparam("number"))
)
WRITE_ATTEMPT = insert(ATTEMPTS)
PARK = update(JOBS).where(THIS).values(state=JobState.WAITING.value, due_at=None, reason=bindparam("why"))
BEGIN = update(JOBS).where(THIS).values(state=JobState.RUNNING.value, started_at=bindparam("at"))
BEGIN_ATTEMPT = (
    update(ATTEMPTS)
    .where(ATTEMPTS.c.job_id == bindparam("this"), ATTEMPTS.c.number == bindparam("nth"))
    .values(started_at=bindparam("at"))
)


@dataclass(frozen=True, slots=True)
class Claim:
    job: JobId
    now: datetime
    live_limit: int
    service_limit: int

    @property
    def limited(self) -> bool:
        return bool(self.live_limit or self.service_limit)

    def fits(self, live: Mapping[str, int], service: str) -> bool:
        """With so many live attempts of each service."""
        if self.live_limit and sum(live.values()) >= self.live_limit:
            return False
        return not self.service_limit or live.get(service, 0) < self.service_limit


@dataclass(frozen=True, slots=True)
class Park:
    job: JobId
    reason: str


@dataclass(frozen=True, slots=True)
class Start:
    attempt: AttemptId
    now: datetime


def claim_together(connection: Connection, claims: Sequence[Claim]) -> list[Attempt | None]:
    """`queued` → `starting`, with a row for the new attempt, as if each claim came after the one before."""
    live = live_counts(connection) if any(claim.limited for claim in claims) else {}
    queued = _locked(connection, {claim.job for claim in claims}, JobState.QUEUED)
    answers: list[Attempt | None] = []
    for claim in claims:
        row = queued.get(claim.job)
        if row is None or not claim.fits(live, row.service):
            answers.append(None)
            continue
        del queued[claim.job]
        live[row.service] = live.get(row.service, 0) + 1
        number = row.attempts + 1
        answers.append(Attempt(attempt_id(claim.job, number), claim.job, number, claim.now))
    _write_claims(connection, [attempt for attempt in answers if attempt is not None])
    return answers


def _write_claims(connection: Connection, attempts: Sequence[Attempt]) -> None:
    if not attempts:
        return
    connection.execute(CLAIM, [{"this": one.job, "number": one.number} for one in attempts])
    rows = [
        {"job_id": one.job, "number": one.number, "claimed_at": one.claimed_at, "detail": ""}
        for one in attempts
    ]
    connection.execute(WRITE_ATTEMPT, rows)


def park_together(connection: Connection, parks: Sequence[Park]) -> list[bool]:
    """`queued` → `waiting` without a due time; which were."""
    queued = _locked(connection, {park.job for park in parks}, JobState.QUEUED)
    answers = [queued.pop(park.job, None) is not None for park in parks]
    parked = [park for park, answer in zip(parks, answers, strict=True) if answer]
    if parked:
        rows = [{"this": park.job, "why": park.reason} for park in parked]
        connection.execute(PARK, rows)
    return answers


def begin_together(connection: Connection, starts: Sequence[Start]) -> list[Begun | None]:
    """`starting` → `running`, and the attempt's own start."""
    parts = [attempt_parts(start.attempt) for start in starts]
    starting = _locked(connection, {job for job, _ in parts}, JobState.STARTING)
    answers: list[Begun | None] = []
    begun = []
    for start, (job, number) in zip(starts, parts, strict=True):
        row = starting.get(job)
        if row is None or row.attempts != number:
            answers.append(None)
            continue
        del starting[job]
        answers.append(Begun(row.cancel_requested))
        begun.append({"this": job, "nth": number, "at": start.now})
    if begun:
        connection.execute(BEGIN, begun)
        connection.execute(BEGIN_ATTEMPT, begun)
    return answers


def in_order(jobs: Sequence[JobId]) -> Select[str]:
    """Those that are queued, to be changed by the statement that has this within: locked in order, too."""
    queued = select(JOBS.c.id).where(JOBS.c.id.in_(jobs), JOBS.c.state == JobState.QUEUED.value)
    return queued.order_by(JOBS.c.id).with_for_update()


def _locked(connection: Connection, jobs: Collection[JobId], state: JobState) -> dict[JobId, AnyRow]:
    """Those of the jobs that are in that state; nobody else changes any of the jobs until the commit."""
    rows: Iterable[AnyRow] = connection.execute(LOCK, asked(jobs))
    return {JobId(row.id): row for row in rows if row.state == state.value}
