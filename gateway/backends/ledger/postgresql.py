"""Connections to PostgreSQL: few, bounded in time, and given up as soon as the server behind them is gone.

The URL goes to the driver as it is: several hosts, `sslmode` and the other parameters of libpq work.
"""

import time
from collections.abc import Sequence
from typing import Any

import asyncpg
import structlog
from sqlalchemy import PoolProxiedConnection, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from gateway.domain.problems import Unavailable

CONNECT_S = 5.0
IDLE_S = 1.0
"""A connection that was not used for so long is tried first: that is three turns, too many for each use."""
SERVER_SETTINGS = {
    "application_name": "oscar-gateway",
    "statement_timeout": "10s",
    "idle_in_transaction_session_timeout": "20s",
    "jit": "off",
}
READ_ONLY_STATE = "25006"
"""read_only_sql_transaction: what was the primary is none any more. A new connection may find the new one."""

log = structlog.get_logger()

REASONS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    (
        (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError),
        "PostgreSQL refuses the user or password of DATABASE_URL",
    ),
    ((asyncpg.InvalidCatalogNameError,), "PostgreSQL has no such database as DATABASE_URL's"),
    ((asyncpg.InsufficientPrivilegeError,), "the user of DATABASE_URL may not connect to its database"),
    ((asyncpg.TooManyConnectionsError,), "PostgreSQL has too many connections"),
    ((asyncpg.CannotConnectNowError,), "PostgreSQL is starting or stopping"),
    ((TimeoutError,), "PostgreSQL does not answer"),
    ((OSError,), "PostgreSQL is not reachable"),
)
"""The first that fits: TimeoutError is an OSError."""


class Singles:
    """Single statements, each its own transaction, handed to the driver over a connection of the engine's
    pool: the way through SQLAlchemy takes longer than PostgreSQL does for one accepted job."""

    def __init__(self, engine: AsyncEngine, trust: "_Trust") -> None:
        self._engine = engine
        self._trust = trust

    async def run(self, statement: str, parameters: Sequence[object]) -> Sequence[asyncpg.Record]:
        """Its rows. Raises SQLAlchemy's DBAPIError."""
        pooled = await self._engine.raw_connection()
        connection: asyncpg.Connection = pooled.driver_connection
        try:
            rows: Sequence[asyncpg.Record] = await connection.fetch(statement, *parameters)
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if connection.is_closed() or getattr(error, "sqlstate", None) == READ_ONLY_STATE:
                self._trust.lose()
                pooled.invalidate(error)
            raise DBAPIError(None, None, error, hide_parameters=True) from error
        except BaseException as error:
            # Left on the way: what still comes over it would be the next one's.
            pooled.invalidate(error)
            raise
        else:
            return rows
        finally:
            pooled.close()


def open_postgresql(url: str, **options: Any) -> tuple[AsyncEngine, Singles]:
    """Connects when first used. `options` are the engine's."""

    async def connect() -> Any:
        try:
            return await asyncpg.connect(url, timeout=CONNECT_S, server_settings=SERVER_SETTINGS)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError, ValueError) as error:
            # Of the error its kind: its text may hold the address.
            reason = next((why for kinds, why in REASONS if isinstance(error, kinds)), type(error).__name__)
            log.warning("ledger.not_connected", reason=reason)
            raise Unavailable(f"the ledger is not available: {reason}", retry_after_s=1) from error

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, **options)
    trust = _Trust()
    event.listen(engine.sync_engine, "checkin", trust.note_use)
    event.listen(engine.sync_engine, "checkout", trust.try_if_idle)
    event.listen(engine.sync_engine, "handle_error", _leave_the_former_primary)
    return engine, Singles(engine, trust)


class _Trust:
    """In the pool's connections. One server is behind all of them: where one is lost, all are."""

    def __init__(self) -> None:
        self._lost_at = 0.0

    def lose(self) -> None:
        """In those that nobody has used since."""
        self._lost_at = time.monotonic()

    def note_use(self, _connection: object, record: ConnectionPoolEntry) -> None:
        record.info["used"] = time.monotonic()

    def try_if_idle(
        self, connection: Any, record: ConnectionPoolEntry, _proxy: PoolProxiedConnection
    ) -> None:
        used = record.info.get("used")
        if used is None:
            return
        if used < self._lost_at:
            raise InvalidatePoolError
        if time.monotonic() - used < IDLE_S:
            return
        try:
            connection.ping()
        except Exception as error:
            raise InvalidatePoolError from error


def _leave_the_former_primary(context: ExceptionContext) -> None:
    if getattr(context.original_exception, "sqlstate", None) == READ_ONLY_STATE:
        context.is_disconnect = True
