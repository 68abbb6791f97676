"""Statements that list jobs, page by page. What they cost is the page's matter, not the table's.

Each page is merged from short walks, one along an index for every combination of wanted states and causes: no
index alone could serve all filters in order.
"""

from collections.abc import Collection
from datetime import datetime
from itertools import product
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    Select,
    bindparam,
    func,
    or_,
    select,
    tuple_,
    union_all,
)

from gateway.backends.ledger.skipping import different_values
from gateway.backends.ledger.tables import CONTENTS, JOBS, NEVER, is_state
from gateway.domain.job import FINAL_STATES, Cause, JobId, JobQuery, JobState

Condition = ColumnElement[bool]
ASKED = func.json_each(bindparam("jobs", type_=JSON)).table_valued("key")
"""A table with the column `key`: the ids are one parameter, the keys of a JSON object, which both dialects
unfold by the same name. As parameters of their own they would be another statement for each number of them.
What is about them is made once: it is asked often, and putting it together takes longer than the answer."""
AMONG = JOBS.c.id.in_(select(ASKED.c.key))
"""Whether a row of `jobs` is one of those asked about."""
WHOLE = select(JOBS, CONTENTS.c.payload, CONTENTS.c.notice).outerjoin(CONTENTS).where(AMONG)
"""Rows of `jobs`, with the bytes they came with."""
OVER = (
    select(ASKED.c.key)
    .select_from(ASKED.outerjoin(JOBS, JOBS.c.id == ASKED.c.key))
    .where(or_(JOBS.c.id.is_(None), JOBS.c.state.in_(sorted(FINAL_STATES))))
)
"""Ids of those that are final, or not there."""
NewestFirst = (JOBS.c.created_at.desc(), JOBS.c.id.desc())


def newest_page(query: JobQuery) -> Select[Any]:
    """Rows of `jobs`, one more than the page holds if older ones follow."""
    causes = [query.cause] if query.cause else list(Cause)
    everywhere = _conditions(query)
    walks = [
        select(JOBS.c.id, JOBS.c.created_at)
        .where(JOBS.c.cause == cause, *state, *everywhere)
        .order_by(*NewestFirst)
        .limit(query.limit + 1)
        for state, cause in product(_each_state(query.states), causes)
    ]
    merged = union_all(*(select(walk.subquery()) for walk in walks)).subquery()
    page = select(merged.c.id).order_by(merged.c.created_at.desc(), merged.c.id.desc()).limit(query.limit + 1)
    return select(JOBS).where(JOBS.c.id.in_(page)).order_by(*NewestFirst)


def unannounced_page(*, queued_before: datetime, announced_before: datetime, limit: int) -> Select[str]:
    """Ids of queued jobs whose message was never sent, or may be lost."""
    queued = select(JOBS.c.id, JOBS.c.created_at).where(is_state(JobState.QUEUED))
    never = queued.where(JOBS.c.announced_at == NEVER, JOBS.c.queued_at < queued_before)
    stale = queued.where(JOBS.c.announced_at > NEVER, JOBS.c.announced_at < announced_before)
    walks = [
        never.order_by(JOBS.c.queued_at, JOBS.c.id).limit(limit),
        stale.order_by(JOBS.c.announced_at, JOBS.c.queued_at, JOBS.c.id).limit(limit),
    ]
    merged = union_all(*(select(walk.subquery()) for walk in walks)).subquery()
    return select(merged.c.id).order_by(merged.c.created_at, merged.c.id).limit(limit)


def asked(jobs: Collection[JobId]) -> dict[str, dict[JobId, int]]:
    """The parameter of the statements about these jobs."""
    return {"jobs": dict.fromkeys(jobs, 0)}


def ended_since(since: datetime) -> Select[str]:
    """Ids of jobs that became final at that time or later."""
    return select(JOBS.c.id).where(JOBS.c.state.in_(sorted(FINAL_STATES)), JOBS.c.finished_at >= since)


def services_with_jobs() -> Select[str, str]:
    """Name and uid of each."""
    uids = different_values(JOBS.c.service_uid)
    mine = select(JOBS.c.service).where(JOBS.c.service_uid == uids.c.value).correlate(uids)
    # In the index's order: without any, PostgreSQL would rather look through the jobs until one is found.
    name = mine.order_by(JOBS.c.state, JOBS.c.finished_at, JOBS.c.id).limit(1)
    column = name.scalar_subquery().label("service")
    return select(column, uids.c.value.label("uid")).where(uids.c.value.is_not(None))


def finished_page(
    states: frozenset[JobState], *, before: datetime | None, service_uid: str | None, limit: int
) -> Select[str]:
    """Ids of ended jobs in one of the states, the one that ended first first."""
    conditions: list[Condition] = [JOBS.c.finished_at.is_not(None)]
    if before is not None:
        conditions.append(JOBS.c.finished_at < before)
    if service_uid is not None:
        conditions.append(JOBS.c.service_uid == service_uid)
    walks = [
        select(JOBS.c.id, JOBS.c.finished_at)
        .where(JOBS.c.state == state, *conditions)
        .order_by(JOBS.c.finished_at, JOBS.c.id)
        .limit(limit)
        for state in sorted(states)
    ]
    merged = union_all(*(select(walk.subquery()) for walk in walks)).subquery()
    return select(merged.c.id).order_by(merged.c.finished_at, merged.c.id).limit(limit)


def _each_state(states: frozenset[JobState]) -> list[tuple[Condition, ...]]:
    return [(JOBS.c.state == state,) for state in sorted(states)] or [()]


def _conditions(query: JobQuery) -> list[Condition]:
    conditions: list[Condition] = []
    if query.service is not None:
        conditions.append(JOBS.c.service == query.service)
    if query.created_from is not None:
        conditions.append(JOBS.c.created_at >= query.created_from)
    if query.created_to is not None:
        conditions.append(JOBS.c.created_at < query.created_to)
    if query.after is not None:
        place = (query.after.created_at, query.after.id)
        conditions.append(tuple_(JOBS.c.created_at, JOBS.c.id) < place)
    return conditions
