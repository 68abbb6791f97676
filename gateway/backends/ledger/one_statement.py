"""New jobs written by one statement, which is its own transaction: PostgreSQL is a network away, and each
question costs a turn. SQLite has no such statement, and no network."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache

from sqlalchemy import Column, Table
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.backends.ledger.rows import contents_row, job_row
from gateway.backends.ledger.tables import CONTENTS, JOBS
from gateway.domain.job import JobId, NewJob

DIALECT = asyncpg.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy has it untyped
COUNTERS_KEPT = 32
NO_CONTENTS = {"payload": None, "notice": None}


async def write_new(connection: AsyncConnection, jobs: Sequence[tuple[NewJob, datetime]]) -> frozenset[JobId]:
    """Remember and write those whose ids are new, count them; which they are. No id may be there twice.

    Whoever writes the same id at the same moment is waited for, and was faster.
    """
    rows = [job_row(job, now=now) | (contents_row(job) or NO_CONTENTS) for job, now in jobs]
    columns = tuple(_column(name) for name in rows[0] if name != "job_id")
    arrays = tuple(_array(column, rows) for column in columns)
    return frozenset(JobId(row.id) for row in await connection.exec_driver_sql(_statement(columns), arrays))


def _column(name: str) -> Column[object]:
    return JOBS.c[name] if name in JOBS.c else CONTENTS.c[name]


def _array(column: Column[object], rows: Sequence[Mapping[str, object]]) -> list[object]:
    process = _processor(column)
    values = (row[column.name] for row in rows)
    return [value if process is None else process(value) for value in values]


@cache
def _processor(column: Column[object]) -> Callable[[object], object] | None:
    return column.type.dialect_impl(DIALECT).bind_processor(DIALECT)


@cache
def _statement(columns: tuple[Column[object], ...]) -> str:
    """In the order of ids, so that two that write the same ones wait for each other, without a deadlock.
    Each connection has one of several counters: a single one would be every writer's, one after the other,
    each until its commit is on the disk."""
    kinds = ", ".join(f"${number}::{_kind(column)}[]" for number, column in enumerate(columns, start=1))
    names = ", ".join(column.name for column in columns)
    of_jobs = _names(JOBS, columns)
    return f"""
        WITH asked AS MATERIALIZED (SELECT * FROM unnest({kinds}) AS asked ({names})),
        fresh AS (
            INSERT INTO remembered (id, service_uid, at)
            SELECT id, service_uid, created_at FROM asked ORDER BY id COLLATE "C"
            ON CONFLICT DO NOTHING RETURNING id
        ),
        written AS (
            INSERT INTO jobs ({of_jobs}) SELECT {of_jobs} FROM asked WHERE id IN (SELECT id FROM fresh)
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


def _names(table: Table, columns: Sequence[Column[object]]) -> str:
    return ", ".join(column.name for column in columns if column.table is table)
