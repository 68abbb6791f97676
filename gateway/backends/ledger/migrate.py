"""Bring the ledger's database to this version's schema, whoever else starts at the same time.

Never downwards: a database that another version has changed beyond it is refused.
"""

import asyncio
import logging
from pathlib import Path

import structlog
from sqlalchemy import Connection, column, inspect, select, table

from gateway.backends.ledger.database import Database
from gateway.backends.ledger.migrations import HEAD
from gateway.domain.problems import Conflict, Problem, Unavailable

AGAIN_S = 1.0
"""Between two tries to reach a server that was away at the start."""

log = structlog.get_logger()


async def prepare(database: Database) -> asyncio.Task[None] | None:
    """Make the schema, or go on trying: a server that is away keeps nobody from starting, and its ledger is
    Unavailable until then."""
    try:
        await migrate(database)
    except Unavailable as problem:
        if not database.remote:
            raise
        log.warning("ledger.away", reason=problem.detail)
        database.prepared, database.why_unprepared = False, problem.detail
        return asyncio.create_task(_go_on_preparing(database), name="ledger.preparing")
    return None


async def _go_on_preparing(database: Database) -> None:
    while not database.prepared:
        await asyncio.sleep(AGAIN_S)
        try:
            await migrate(database)
        except Problem as problem:
            if not isinstance(problem, Unavailable):
                log.error("ledger.not_usable", reason=problem.detail)
            database.why_unprepared = problem.detail
            continue
        database.prepared = True
        log.info("ledger.back")


async def migrate(database: Database) -> None:
    """All of it or nothing, in one transaction.

    Raises Conflict for another version's database, Unavailable, StorageFull.
    """
    async with database.writing_alone() as connection:
        await connection.run_sync(_upgrade)


def _upgrade(connection: Connection) -> None:
    if _revision(connection) == HEAD:
        return
    # Here and not above: importing it takes a good part of a start, and only a new version needs it.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    try:
        command.upgrade(config, HEAD)
    except CommandError as error:
        raise Conflict("the ledger's database belongs to another version of the gateway") from error


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.scalar(select(column("version_num")).select_from(table("alembic_version")))
