"""One SQL database: how it is opened, and its transactions. What goes wrong in them comes out as a Problem.

The only file that tells dialects apart. SQLite takes one writer at a time: writers wait for each other here,
in order, instead of tripping over its lock; its busy timeout waits for other processes on the file.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import structlog
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.backends.ledger.sqlite import OwnThread, sqlite_engine, sqlite_thread
from gateway.domain.problems import Invalid, StorageFull, Unavailable

SQLITE = frozenset({"sqlite", "sqlite+aiosqlite"})
POSTGRESQL = frozenset({"postgres", "postgresql", "postgresql+asyncpg"})
WAIT_S = 10.0
"""Longest any transaction may take, waiting for its turn included."""
CONNECTIONS = 8
OPTIONS: dict[str, Any] = {
    "pool_size": CONNECTIONS,
    "max_overflow": 0,
    "pool_timeout": WAIT_S,
    "hide_parameters": True,
}
"""Parameters are what people sent: no error may repeat them into a log."""

FULL_CODES = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
FULL_STATES = frozenset({"53100"})
"""PostgreSQL's disk_full."""
NOT_ALLOWED_STATE = "42501"
"""PostgreSQL's insufficient_privilege."""
DATA_STATE = "22"
"""PostgreSQL's class of data exceptions."""
TAKEN_STATE = "23"
"""PostgreSQL's class of integrity constraint violations."""
RACED_STATES = frozenset({"40001", "40P01"})
"""PostgreSQL's serialization_failure and deadlock_detected."""

ADVISORY_LOCK = 0x6F73636172
"""PostgreSQL names its locks by number: this one spells "oscar"."""

log = structlog.get_logger()


T = TypeVar("T")


class Raced(Unavailable):
    """Another process wrote the same thing at the same time: doing it again finds what it wrote."""


@dataclass(frozen=True, slots=True)
class Threads:
    """SQLite's, for transactions that are one piece of work."""

    reads: OwnThread
    writes: OwnThread


class Singles(Protocol):
    """PostgreSQL's, for single statements."""

    async def run(self, statement: str, parameters: Sequence[object]) -> Sequence[Any]: ...


class Database:
    """Transactions: `reading` for many at once, `writing` for durable ones; `read` and `write` for those that
    come often, as a function, which SQLite runs where its connection is.

    All raise Unavailable and StorageFull.
    """

    def __init__(
        self, engine: AsyncEngine, *, threads: Threads | None = None, singles: Singles | None = None
    ) -> None:
        self._threads = threads
        self._singles = singles
        self._reader = engine
        self._writer = engine.execution_options(immediate=True)
        self._single = engine.execution_options(isolation_level="AUTOCOMMIT")
        self.remote = singles is not None
        """Whether each statement is a turn over a network: then there is `write_at_once`."""
        self._turns = asyncio.Semaphore(1 if engine.dialect.name == "sqlite" else CONNECTIONS)
        self._open = True
        self.prepared = True
        """Whether the schema is known to be there: without it only `writing_alone` works, which makes it."""
        self.why_unprepared = "the ledger is not available yet"
        """Why it is not, in one line."""

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        self._require_prepared()
        with self._problems():
            async with asyncio.timeout(WAIT_S), self._reader.connect() as connection:
                yield connection

    async def read(self, work: Callable[[Connection], T]) -> T:
        """For a single statement: over a network that is one turn, where a transaction is three."""
        self._require_prepared()
        with self._problems():
            async with asyncio.timeout(WAIT_S):
                if self._threads is not None:
                    return await self._threads.reads.run(work)
                async with self._single.connect() as connection:
                    return await connection.run_sync(work)

    async def write(self, work: Callable[[Connection], T], *, alone: bool = False) -> T:
        """Committed when `work` ends well, rolled back when it raises; with `alone` no other process writes
        this way meanwhile. Raises Raced as well."""
        self._require_prepared()
        if self._threads is None:
            async with self.writing_alone() if alone else self.writing() as connection:
                return await connection.run_sync(work)
        with self._problems():
            async with asyncio.timeout(WAIT_S), self._turns:
                return await self._threads.writes.run(work)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Committed when the block ends well, rolled back when it raises. Raises Raced as well."""
        self._require_prepared()
        async with self._transaction() as connection:
            yield connection

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        with self._problems():
            async with asyncio.timeout(WAIT_S), self._turns, self._writer.begin() as connection:
                yield connection

    async def write_at_once(self, statement: str, parameters: Sequence[object]) -> Sequence[Any]:
        """The rows of a single statement, committed by itself: PostgreSQL's, in its driver's words. Raises
        Raced as well."""
        self._require_prepared()
        if self._singles is None:
            raise TypeError("only a remote database has statements of its own")
        with self._problems():
            async with asyncio.timeout(WAIT_S), self._turns:
                return await self._singles.run(statement, parameters)

    @asynccontextmanager
    async def writing_alone(self) -> AsyncIterator[AsyncConnection]:
        """`writing`, with no other process writing this way meanwhile."""
        async with self._transaction() as connection:
            if connection.dialect.name == "postgresql":
                await connection.execute(select(func.pg_advisory_xact_lock(ADVISORY_LOCK)))
            yield connection

    async def close(self) -> None:
        self._open = False
        if self._threads is not None:
            await self._threads.reads.close()
            await self._threads.writes.close()
        await self._reader.dispose()

    def _require_prepared(self) -> None:
        if not self.prepared:
            raise Unavailable(self.why_unprepared, retry_after_s=1)

    @contextmanager
    def _problems(self) -> Iterator[None]:
        if not self._open:
            raise Unavailable("the ledger is closed", retry_after_s=1)
        try:
            yield
        except (SQLAlchemyError, OSError, TimeoutError, UnicodeError) as error:
            raise _problem(error) from error


@asynccontextmanager
async def open_database(url: str, *, busy_s: float) -> AsyncIterator[Database]:
    """Connects when first used. Raises Invalid for a URL of no known kind.

    `busy_s`: how long another process's write is waited for; SQLite only.
    """
    scheme, _, place = url.partition(":")
    if scheme in SQLITE:
        engine = sqlite_engine(url, busy_s=busy_s, **OPTIONS)
        reads, writes = (sqlite_thread(url, busy_s=busy_s, writes=writes) for writes in (False, True))
        database = Database(engine, threads=Threads(reads, writes))
    elif scheme in POSTGRESQL and place.startswith("//"):
        # Here and not above: what a URL does not pick is not imported.
        from gateway.backends.ledger.postgresql import open_postgresql  # noqa: PLC0415

        engine, singles = open_postgresql(f"postgresql:{place}", **OPTIONS)
        database = Database(engine, singles=singles)
    else:
        raise Invalid("a database URL begins with sqlite: or postgresql://", field="DATABASE_URL")
    try:
        yield database
    finally:
        await database.close()


def _problem(error: Exception) -> Unavailable | StorageFull | Invalid:
    foreign = getattr(error, "orig", None)
    code = getattr(foreign, "sqlite_errorcode", 0) & 0xFF
    state = getattr(foreign, "sqlstate", None) or ""
    if code in FULL_CODES or state in FULL_STATES:
        return StorageFull("the ledger has no space left", retry_after_s=1)
    if isinstance(error, IntegrityError) or state in RACED_STATES or state.startswith(TAKEN_STATE):
        return Raced("the ledger is busy", retry_after_s=1)
    if state.startswith(DATA_STATE) or _not_encodable(error, foreign):
        return Invalid("it has something in it that the ledger cannot keep")
    if state == NOT_ALLOWED_STATE:
        return Unavailable("the user of DATABASE_URL may not change the ledger's tables", retry_after_s=1)
    if not isinstance(error, (DBAPIError, PoolTimeoutError, OSError)):
        log.error("ledger.failed", exc_info=error)
    return Unavailable("the ledger is not available", retry_after_s=1)


def _not_encodable(error: Exception, foreign: object) -> bool:
    """Whether a parameter did not get as far as the database: each driver says so in its own way."""
    if isinstance(error, UnicodeError) or (foreign and not isinstance(error, DBAPIError)):
        return True
    return isinstance(foreign, ValueError) or isinstance(getattr(foreign, "__cause__", None), ValueError)
