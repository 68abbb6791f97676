"""Bring the ledger's database to this version's schema, whoever else starts at the same time.

Never downwards: a database that another version has changed beyond it is refused.
"""

import logging
from pathlib import Path

from sqlalchemy import Connection, column, inspect, select, table

from gateway.backends.ledger.database import Database
from gateway.backends.ledger.migrations import HEAD
from gateway.domain.problems import Conflict


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
