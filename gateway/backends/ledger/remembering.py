"""Every id ever accepted, also of jobs removed since and of objects that must never become one."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice

from sqlalchemy import Connection, bindparam, delete, exists, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.backends.ledger.tables import JOBS, REMEMBERED
from gateway.domain.job import JobId

PORTION = 1000
"""Ids named in one statement: both databases stop at about 32,000 parameters."""

# Made once: SQLAlchemy takes longer to put a small statement together than SQLite to execute it.
KNOWN = select(REMEMBERED.c.id).where(REMEMBERED.c.id.in_(bindparam("ids", expanding=True)))
REMEMBER = insert(REMEMBERED)


def portions(ids: Iterable[JobId]) -> Iterator[Sequence[JobId]]:
    """The ids, cut so that each part fits into one statement."""
    waiting = iter(ids)
    while portion := list(islice(waiting, PORTION)):
        yield portion


def remembered_ids(connection: Connection, ids: Iterable[JobId]) -> frozenset[JobId]:
    """Those of the ids that are remembered."""
    known: set[JobId] = set()
    for portion in portions(ids):
        rows = connection.scalars(KNOWN, {"ids": portion})
        known.update(JobId(one) for one in rows)
    return frozenset(known)


def remember_ids(connection: Connection, ids: Iterable[tuple[JobId, str, datetime]]) -> None:
    """Remember ids with their service's uid and time; none of them may be remembered yet."""
    rows = [{"id": one, "service_uid": uid, "at": at} for one, uid, at in ids]
    if rows:
        connection.execute(REMEMBER, rows)


async def forget_ids(connection: AsyncConnection, service_uid: str) -> None:
    """Forget a service's ids, but not those of jobs that are still there: they cannot be accepted twice."""
    kept = exists().where(JOBS.c.id == REMEMBERED.c.id)
    await connection.execute(delete(REMEMBERED).where(REMEMBERED.c.service_uid == service_uid, ~kept))
