"""New jobs written by one statement, which is its own transaction: PostgreSQL is a network away, and each
question costs a turn. SQLite has no such statement, and no network."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import Column, literal
from sqlalchemy.dialects.postgresql import asyncpg

from gateway.backends.ledger.database import Database
from gateway.backends.ledger.rows import FRESH, contents_row, job_row
from gateway.backends.ledger.tables import CONTENTS, JOBS
from gateway.domain.job import JobId, NewJob

DIALECT = asyncpg.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy has it untyped
COUNTERS_KEPT = 32
NO_CONTENTS = {"payload": None, "notice": None}

Process = Callable[[object], object]


@dataclass(frozen=True, slots=True)
class Plan:
    statement: str
    parameters: tuple[tuple[str, Process | None], ...]
    """An array each, of the column of that name, and how its values are made the driver's."""


async def write_new(database: Database, jobs: Sequence[tuple[NewJob, datetime]]) -> frozenset[JobId]:
    """Remember and write those whose ids are new, count them; which they are. No id may be there twice.

    Whoever writes the same id at the same moment is waited for, and was faster.
    """
    rows = [{**job_row(job, now=now), **(contents_row(job) or NO_CONTENTS)} for job, now in jobs]
    plan = _plan(tuple(rows[0]))
    arrays = [
        [row[name] if process is None else process(row[name]) for row in rows]
        for name, process in plan.parameters
    ]
    written = await database.write_at_once(plan.statement, arrays)
    return frozenset(JobId(row["id"]) for row in written)


@cache
def _plan(names: tuple[str, ...]) -> Plan:
    columns = tuple(
        JOBS.c[name] if name in JOBS.c else CONTENTS.c[name] for name in names if name != "job_id"
    )
    processes = (column.type.dialect_impl(DIALECT).bind_processor(DIALECT) for column in columns)
    return Plan(_statement(columns), tuple(zip((one.name for one in columns), processes, strict=True)))


def _statement(columns: Sequence[Column[object]]) -> str:
    """In the order of ids, so that two that write the same ones wait for each other, without a deadlock.
    Each connection has one of several counters: a single one would be every writer's, one after the other,
    each until its commit is on the disk."""
    kinds = ", ".join(f"${number}::{_kind(column)}[]" for number, column in enumerate(columns, start=1))
    names = _list(column.name for column in columns)
    of_jobs = _list(column.name for column in columns if column.table is JOBS)
    # Written out: a parameter more is more work at both ends than what it would say.
    fresh = _list(f"{_literal(JOBS.c[name], value)} AS {name}" for name, value in FRESH.items())
    return f"""
        WITH asked AS MATERIALIZED (SELECT * FROM unnest({kinds}) AS asked ({names})),
        fresh AS (
            INSERT INTO remembered (id, service_uid, at)
            SELECT id, service_uid, created_at FROM asked ORDER BY id COLLATE "C"
            ON CONFLICT DO NOTHING RETURNING id
        ),
        written AS (
            INSERT INTO jobs ({of_jobs}, {_list(FRESH)})
            SELECT {of_jobs}, {fresh} FROM asked WHERE id IN (SELECT id FROM fresh)
        ),
        filled AS (
            INSERT INTO contents (job_id, payload, notice) SELECT id, payload, notice FROM asked
            WHERE id IN (SELECT id FROM fresh) AND (payload IS NOT NULL OR notice IS NOT NULL)
        ),
        counted AS (
            INSERT INTO counters (name, value)
            SELECT 'accepted:' || pg_backend_pid() % {COUNTERS_KEPT}, count(*) FROM fresh HAVING count(*) > 0
            ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value
        )
        SELECT id FROM fresh
    """  # noqa: S608, put together from the tables' own names


def _kind(column: Column[object]) -> str:
    return column.type.compile(DIALECT).partition(" COLLATE")[0]


def _literal(column: Column[object], value: object) -> str:
    return str(literal(value, column.type).compile(dialect=DIALECT, compile_kwargs={"literal_binds": True}))


def _list(parts: Iterable[str]) -> str:
    return ", ".join(parts)
