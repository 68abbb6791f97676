"""One transaction's worth of accepted jobs: who is new, who was there already, and the rows that say so."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, insert, select, tuple_, update

from gateway.backends.ledger.database import Database
from gateway.backends.ledger.one_statement import write_new
from gateway.backends.ledger.protocol import Accepted, IdempotencyKey
from gateway.backends.ledger.remembering import remember_ids, remembered_ids
from gateway.backends.ledger.rows import FRESH, contents_row, job_row
from gateway.backends.ledger.tables import CONTENTS, COUNTERS, JOBS, KEYS
from gateway.domain.job import JobId, NewJob
from gateway.domain.problems import KeyReused

# Made once, as in `remembering`.
WRITE_JOB, FILL = insert(JOBS), insert(CONTENTS)
COUNT = (
    update(COUNTERS)
    .where(COUNTERS.c.name == "accepted")
    .values(value=COUNTERS.c.value + bindparam("new", type_=COUNTERS.c.value.type))
)

Answer = tuple[Accepted, ...] | KeyReused
Place = tuple[str, str]
"""Scope and key: where an idempotency key stands."""


@dataclass(frozen=True, slots=True)
class Request:
    jobs: tuple[NewJob, ...]
    now: datetime
    key: IdempotencyKey | None = None

    def __post_init__(self) -> None:
        if self.key and len(self.jobs) != 1:
            raise ValueError("an idempotency key goes with a single job")


@dataclass(frozen=True, slots=True)
class Held:
    """An idempotency key, and the job it stands for."""

    key: IdempotencyKey
    job: JobId


def accept_all(connection: Connection, requests: Sequence[Request]) -> list[Answer]:
    """Answer the requests in order, as if each came after the one before; write what is new."""
    asked = {job.id for request in requests for job in request.jobs}
    acceptance = _Acceptance(
        taken=set(remembered_ids(connection, asked)),
        held=_held_keys(connection, requests),
    )
    answers = [acceptance.answer(request) for request in requests]
    if acceptance.new:
        _write(connection, acceptance)
    return answers


async def accept_keyless(database: Database, requests: Sequence[Request]) -> list[Answer]:
    """`accept_all` for requests without keys, in one statement that is its own transaction: PostgreSQL's."""
    first = _Acceptance(taken=set(), held={})
    answers = [first.answer(request) for request in requests]
    if not first.new:
        return answers
    written = await write_new(database, first.new)
    return [
        tuple(Accepted(one.id, created=one.created and one.id in written) for one in answer)
        for answer in answers
        if not isinstance(answer, KeyReused)
    ]


class _Acceptance:
    """Decides who is new. `taken` and `held` start as what the database has, and grow."""

    def __init__(self, *, taken: set[JobId], held: dict[Place, Held]) -> None:
        self._taken = taken
        self._held = held
        self.new: list[tuple[NewJob, datetime]] = []
        self.new_keys: dict[Place, Held] = {}

    def answer(self, request: Request) -> Answer:
        key = request.key
        held = self._held.get((key.scope, key.key)) if key else None
        if key and held and held.key.expires_at > request.now:
            if held.key.fingerprint != key.fingerprint:
                return KeyReused(
                    "this idempotency key came before, with another request", field="Idempotency-Key"
                )
            return (Accepted(held.job, created=False),)
        answer = tuple(self._accepted(job, request.now) for job in request.jobs)
        if key and answer[0].created:
            self._held[key.scope, key.key] = self.new_keys[key.scope, key.key] = Held(key, answer[0].id)
        return answer

    def _accepted(self, job: NewJob, now: datetime) -> Accepted:
        created = job.id not in self._taken
        if created:
            self._taken.add(job.id)
            self.new.append((job, now))
        return Accepted(job.id, created=created)


def _held_keys(connection: Connection, requests: Sequence[Request]) -> dict[Place, Held]:
    places = {(request.key.scope, request.key.key) for request in requests if request.key}
    if not places:
        return {}
    rows = connection.execute(select(KEYS).where(tuple_(KEYS.c.scope, KEYS.c.key).in_(places)))
    return {
        (row.scope, row.key): Held(
            IdempotencyKey(row.scope, row.key, row.fingerprint, row.expires_at), JobId(row.job_id)
        )
        for row in rows
    }


def _write(connection: Connection, acceptance: _Acceptance) -> None:
    # In one order everywhere: two processes that write the same ids wait for each other, without a deadlock.
    new = sorted(acceptance.new, key=lambda one: one[0].id)
    remember_ids(connection, ((job.id, job.service_uid, now) for job, now in new))
    connection.execute(WRITE_JOB, [{**FRESH, **job_row(job, now=now)} for job, now in new])
    if filled := [row for job, _ in new if (row := contents_row(job))]:
        connection.execute(FILL, filled)
    if acceptance.new_keys:
        _write_keys(connection, acceptance.new_keys)
    # Last: every writer needs this row, and holds it only until the commit that follows.
    connection.execute(COUNT, {"new": len(new)})


def _write_keys(connection: Connection, new_keys: dict[Place, Held]) -> None:
    connection.execute(delete(KEYS).where(tuple_(KEYS.c.scope, KEYS.c.key).in_(sorted(new_keys))))
    rows = [
        {
            "scope": scope,
            "key": key,
            "fingerprint": held.key.fingerprint,
            "job_id": held.job,
            "expires_at": held.key.expires_at,
        }
        for (scope, key), held in sorted(new_keys.items())
    ]
    connection.execute(insert(KEYS), rows)
